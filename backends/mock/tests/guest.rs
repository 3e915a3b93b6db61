//! A guest on its own thread.

use std::error::Error;
use std::time::Instant;

use netrx::Features;
use netrx_mock::{DriverConfig, GuestThread, Refill, Rest, Rig, ScriptedSource, Shape};

#[test]
fn a_guest_that_polls_takes_all_frames_and_sleeps_for_none() -> Result<(), Box<dyn Error>> {
    const FRAMES: u64 = 100;
    let driver = DriverConfig::new(16, Features::VERSION_1, Shape::single(2048));
    let Rig { driver, mut engine, irq } = Rig::new(driver)?;
    let (mut source, script) = ScriptedSource::new();
    (0..FRAMES).for_each(|_| script.frame([7; 60]));
    let guest = GuestThread::spawn(driver, irq, Refill::Eager, Rest::Polls, || {}, |_| {});
    while engine.counters().snapshot().frames_delivered < FRAMES && !guest.has_ended() {
        let _ = engine.poll(&mut source, Instant::now())?;
    }
    let report = guest.stop().ok_or("the guest panicked")?;
    assert_eq!((report.frames, report.sleeps, report.violation), (FRAMES, 0, None));
    Ok(())
}
