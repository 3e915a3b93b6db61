//! The engine keeps to its moderation's limits while its source always has more, whatever one `recv` could place: never more
//! frames nor time between two interrupts.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::time::{Duration, Instant};

use netrx::engine::{Budget, Clock, Moderation};
use netrx::ring::SplitRing;
use netrx::{
    Engine, EngineConfig, Features, FrameMeta, FrameSource, IrqError, IrqLine, Placed, Progress, Received,
    RxSpace, SourceError,
};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Shape};

const FRAMES: u64 = 1000;
/// A frame's share of the time.
const FRAME: Duration = Duration::from_micros(3);

/// A source with so many frames, at most `batch` of them a `recv`.
struct Many<'c> {
    clock: &'c Ticks,
    left: u64,
    batch: u64,
}

impl FrameSource for Many<'_> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        for _ in 0..self.batch.min(self.left) {
            if space.put(&[7; 60], FrameMeta::PLAIN) == Placed::NoRoom {
                return Ok(Received::More);
            }
            self.clock.frames.fetch_add(1, Ordering::Relaxed);
            self.left -= 1;
        }
        Ok(if self.left == 0 { Received::Empty } else { Received::More })
    }

    fn wait(&mut self, _until: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

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

/// Tells of each interrupt.
struct Line(Sender<()>);

impl IrqLine for Line {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.0.send(()).map_err(|gone| IrqError::Failed(gone.into()))
    }
}

/// How many interrupts the frames take under these limits, in turns without a bound.
fn interrupts(limits: Moderation, batch: u64) -> Result<usize, Box<dyn Error>> {
    let memory = MockMemory::heap(&[1 << 18]);
    let mut driver =
        FakeDriver::new(&memory, DriverConfig::new(1024, Features::VERSION_1, Shape::single(80)))?;
    driver.post(1024);
    let ring = SplitRing::new(driver.ring_config(), driver.features(), &memory)?;
    let budget = Budget { frames: u32::MAX, bytes: u64::MAX };
    let config = EngineConfig { moderation: limits, budget, ..EngineConfig::default() };
    let (line, raised): (_, Receiver<()>) = channel();
    let mut engine = Engine::new(ring, memory, Line(line), config);
    let clock = Ticks { begin: Instant::now(), frames: AtomicU32::new(0) };
    let mut source = Many { clock: &clock, left: FRAMES, batch };
    while engine.poll(&mut source, &clock)? == Progress::More {}
    assert_eq!(driver.drain_frames()?.len() as u64, FRAMES);
    Ok(raised.try_iter().count())
}

#[test]
fn no_more_frames_than_allowed_come_between_two_interrupts() -> Result<(), Box<dyn Error>> {
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
fn no_more_time_than_allowed_passes_between_two_interrupts() -> Result<(), Box<dyn Error>> {
    for (frames, batch, expected) in [(10, 1, 100), (10, 5, 100), (1, 1, 1000), (1000, 10, 1)] {
        let limits = Moderation { max_frames: u32::MAX, max_delay: FRAME * frames, ..Moderation::default() };
        assert_eq!(interrupts(limits, batch)?, expected, "time of {frames} frames, {batch} a batch");
    }
    Ok(())
}

#[test]
fn nothing_is_held_back_beyond_a_batch() -> Result<(), Box<dyn Error>> {
    for (batch, expected) in [(1, 1000), (10, 100), (u64::MAX, 1)] {
        assert_eq!(interrupts(Moderation::NONE, batch)?, expected, "{batch} a batch");
    }
    Ok(())
}
