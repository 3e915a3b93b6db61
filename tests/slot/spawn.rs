//! A system without a thread to spare, simulated in a process of its own whose threads ask for more stack than there is.

use std::process::Command;

use netrx::Features;
use netrx::worker::SlotError;

use super::{Rig, Tested};

/// No address space holds a stack of this many bytes.
const STACK: &str = "1152921504606846976";

#[test]
fn a_failed_spawn_gives_everything_back() -> Tested {
    let mut alone = Command::new(std::env::current_exe()?);
    alone.args(["--exact", "spawn::without_threads", "--ignored", "--test-threads=1"]);
    let output = alone.env("RUST_MIN_STACK", STACK).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

#[test]
#[ignore = "only in a process that cannot start threads: a_failed_spawn_gives_everything_back runs it there"]
fn without_threads() -> Tested {
    if std::env::var("RUST_MIN_STACK").as_deref() != Ok(STACK) {
        return Ok(());
    }
    let rig = Rig::new(Features::VERSION_1)?;
    rig.script.frame(*b"stays where it is");
    for attempt in 0..3 {
        let started = rig.slot.driver_ok(rig.config());
        assert!(matches!(started, Err(SlotError::Spawn(_))), "attempt {attempt}: {started:?}");
        assert!(rig.slot.stats().is_none() && rig.slot.stop()?.is_none());
    }
    assert!(rig.script.left() == 1 && rig.probe.raised() == 0 && !rig.driver.has_used());
    Ok(())
}
