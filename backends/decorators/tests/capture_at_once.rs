//! A capture of more frames at once than may be queued for its writer.

mod rig;

use std::io;

use netrx::engine::{Budget, EngineConfig, Moderation};
use netrx_decorators::Capture;
use netrx_mock::ScriptedSource;

use rig::{Tested, frame, guest_with};

#[test]
fn a_writer_that_keeps_up_misses_nothing_however_much_comes_at_once() -> Tested {
    let (budget, moderation) = (Budget { frames: u32::MAX, bytes: u64::MAX }, Moderation::NONE);
    let mut rig = guest_with(64, EngineConfig { budget, moderation, ..EngineConfig::default() })?;
    let (inner, script) = ScriptedSource::new();
    let (mut source, handle) = Capture::new(inner);
    handle.start(io::sink())?;
    // Each is too long for the guest, so that one turn has room for all of them, 30 MB.
    (0..10_000).for_each(|number| script.frame(frame(number, 3000)));
    assert!(rig.drain(&mut source)?.is_empty());
    let captured = handle.stop()?.ok_or("it was started")?;
    assert_eq!((captured.dropped, captured.missed), (10_000, 0));
    Ok(())
}
