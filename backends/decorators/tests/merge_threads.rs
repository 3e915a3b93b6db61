//! A merge in a system without a thread to spare, simulated in a process of its own whose threads ask for more stack than
//! there is.
#![cfg(unix)]

mod rig;

use std::process::Command;
use std::time::{Duration, Instant};

use netrx::{FrameSource, Progress};
use netrx_mock::events::told_by;
use netrx_mock::{ScriptedSource, traffic};
use tracing::Level;

use rig::{Counted, STUCK, Tested, frame, guest, merge};

/// No address space holds a stack of this many bytes.
const STACK: &str = "1152921504606846976";

#[test]
fn a_merge_without_threads_goes_on() -> Tested {
    let mut alone = Command::new(std::env::current_exe()?);
    alone.args(["--exact", "without_threads", "--ignored", "--test-threads=1"]);
    let output = alone.env("RUST_MIN_STACK", STACK).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

#[test]
#[ignore = "only in a process that cannot start threads: a_merge_without_threads_goes_on runs it there"]
fn without_threads() -> Tested {
    if std::env::var("RUST_MIN_STACK").as_deref() != Ok(STACK) {
        return Ok(());
    }
    let ((blocking, first), (watched, second)) = (ScriptedSource::new(), ScriptedSource::new());
    let sources: [Box<dyn FrameSource>; 2] = [Box::new(Counted::new(blocking)), Box::new(watched)];
    let (mut merged, mut rig) = (merge(sources), guest(16)?);
    assert_eq!(rig.turn(&mut merged)?, (Progress::Idle, vec![]));
    let begin = Instant::now();
    let (waited, told) = told_by(|| (0..20).try_for_each(|_| merged.wait(None)));
    waited?;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(20) && took < STUCK, "it neither spins nor sleeps on: {took:?}");
    assert!(matches!(&told[..], [once] if once.level == Level::WARN), "{told:?}");
    first.frame(frame(1, 60));
    second.frame(frame(2, 60));
    let mut frames = rig.take(&mut merged, 2)?;
    frames.sort_by_key(|frame| traffic::number(frame));
    assert_eq!(frames, [frame(1, 60), frame(2, 60)]);
    rig.check()?;
    Ok(())
}
