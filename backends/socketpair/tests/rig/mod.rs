//! An engine between a source and a fake guest, for the tests of this crate.

#![allow(dead_code, reason = "no test uses all of it")]

use std::time::{Duration, Instant};

use netrx::engine::Stats;
use netrx::ring::SplitRing;
use netrx::{Engine, EngineConfig, Features, FrameSource, Progress};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape, traffic};

/// How long anything may take before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

pub(crate) fn merged() -> Features {
    Features::VERSION_1 | Features::MRG_RXBUF
}

pub(crate) struct Rig {
    pub(crate) driver: FakeDriver,
    pub(crate) engine: Engine<MockMemory, MockIrq>,
}

impl Rig {
    pub(crate) fn new(size: u16, features: Features, shape: Shape) -> Self {
        let memory = MockMemory::heap(&[2 << 20, 2 << 20]);
        let driver = FakeDriver::new(&memory, DriverConfig::new(size, features, shape)).expect("it fits");
        let ring = SplitRing::new(driver.ring_config(), features, &memory).expect("it makes sense");
        let engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
        Self { driver, engine }
    }

    /// A guest with buffers for plain frames.
    pub(crate) fn plain() -> Self {
        Self::new(128, Features::VERSION_1, Shape::single(2048))
    }

    pub(crate) fn poll(&mut self, source: &mut impl FrameSource) -> Progress {
        self.engine.poll(source, Instant::now()).expect("nothing is fatal")
    }

    /// Posts everything, takes a turn, and drains.
    pub(crate) fn take(&mut self, source: &mut impl FrameSource) -> (Progress, Vec<Vec<u8>>) {
        self.driver.post(usize::MAX);
        let progress = self.poll(source);
        (progress, self.driver.drain_frames().expect("the guest has no complaint"))
    }

    /// Takes turns and waits, until `count` frames have come or the source is closed.
    pub(crate) fn take_all(&mut self, source: &mut impl FrameSource, count: usize) -> Vec<Vec<u8>> {
        let begin = Instant::now();
        let mut all = Vec::new();
        while all.len() < count {
            assert!(begin.elapsed() < STUCK, "only {} of {count} frames came", all.len());
            let (progress, frames) = self.take(source);
            all.extend(frames);
            match progress {
                Progress::Closed => break,
                Progress::Idle if all.len() < count => source.wait(Some(begin + STUCK)).expect("it waits"),
                Progress::Idle | Progress::More | Progress::Starved => {}
            }
        }
        all
    }

    pub(crate) fn stats(&self) -> Stats {
        self.engine.counters().snapshot()
    }

    /// The guest's memory and the ledger are as they should be.
    pub(crate) fn audit(&self) {
        self.driver.audit().expect("nothing was written outside of the buffers");
        assert!(self.stats().is_balanced());
    }
}

/// Frame `number` of `len` bytes.
pub(crate) fn frame(number: u64, len: usize) -> Vec<u8> {
    traffic::frame(number, len)
}

/// The frames' numbers; a frame that is not whole has none.
pub(crate) fn numbers(frames: &[Vec<u8>]) -> Vec<Option<u64>> {
    frames.iter().map(|frame| traffic::number(frame)).collect()
}

/// These numbers, as [`numbers`] gives them.
pub(crate) fn whole(numbers: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
    numbers.into_iter().map(Some).collect()
}
