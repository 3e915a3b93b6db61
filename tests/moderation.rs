//! The engine keeps to its moderation's limits while its source always has more, whatever one `recv` could place: never more
//! frames nor time between two interrupts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use netrx::engine::{Budget, Clock, Moderation};
use netrx::{EngineConfig, Features, FrameMeta, Placed, Progress, Received};
use netrx_mock::{DriverConfig, Rig, RigError, Shape, from_fn};

const FRAMES: u64 = 1000;
/// A frame's share of the time.
const FRAME: Duration = Duration::from_micros(3);

/// A clock that goes on with each frame.
struct Ticks {
    begin: Instant,
    frames: AtomicU32,
}

impl Clock for &Ticks {
    fn now(&self) -> Instant {
        self.begin + FRAME * self.frames.load(Ordering::Relaxed)
    }
}

/// How many interrupts the frames take under these limits, at most `batch` of them a `recv`, in turns without a bound.
fn interrupts(limits: Moderation, batch: u64) -> Result<u64, RigError> {
    let budget = Budget { frames: u32::MAX, bytes: u64::MAX };
    let config = EngineConfig { moderation: limits, budget, ..EngineConfig::default() };
    let driver = DriverConfig::new(1024, Features::VERSION_1, Shape::single(80));
    let Rig { mut driver, mut engine, irq } = Rig::with(driver, config)?;
    driver.post(1024);
    let clock = Ticks { begin: Instant::now(), frames: AtomicU32::new(0) };
    let mut left = FRAMES;
    let mut source = from_fn(|space| {
        for _ in 0..batch.min(left) {
            if space.put(&[7; 60], FrameMeta::PLAIN) == Placed::NoRoom {
                return Received::More;
            }
            clock.frames.fetch_add(1, Ordering::Relaxed);
            left -= 1;
        }
        if left == 0 { Received::Empty } else { Received::More }
    });
    while engine.poll(&mut source, &clock)? == Progress::More {}
    assert_eq!(driver.drain_frames()?.len() as u64, FRAMES);
    Ok(irq.raised())
}

#[test]
fn no_more_frames_than_allowed_come_between_two_interrupts() -> Result<(), RigError> {
    let forever = Duration::from_secs(1000);
    for (max_frames, expected) in [(0, 1000), (1, 1000), (7, 143), (10, 100), (64, 16), (999, 2), (1000, 1)] {
        let limits = Moderation { max_frames, max_delay: forever, ..Moderation::default() };
        for batch in [u64::MAX, 1, 3] {
            assert_eq!(interrupts(limits, batch)?, expected, "{max_frames} frames, {batch} a batch");
        }
    }
    Ok(())
}

#[test]
fn no_more_time_than_allowed_passes_between_two_interrupts() -> Result<(), RigError> {
    for (frames, batch, expected) in [(10, 1, 100), (10, 5, 100), (1, 1, 1000), (1000, 10, 1)] {
        let limits = Moderation { max_frames: u32::MAX, max_delay: FRAME * frames, ..Moderation::default() };
        assert_eq!(interrupts(limits, batch)?, expected, "time of {frames} frames, {batch} a batch");
    }
    Ok(())
}

#[test]
fn nothing_is_held_back_beyond_a_batch() -> Result<(), RigError> {
    for (batch, expected) in [(1, 1000), (10, 100), (u64::MAX, 1)] {
        assert_eq!(interrupts(Moderation::NONE, batch)?, expected, "{batch} a batch");
    }
    Ok(())
}
