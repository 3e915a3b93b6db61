//! A guest to send frames to, and sources to send them from.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use netrx::engine::{EngineConfig, Stats};
use netrx::{Features, FrameSource, Received, RxConfig, RxSpace, RxWorkerSlot, SourceError};
#[cfg(unix)]
use netrx_decorators::Merge;
use netrx_mock::conformance::Feeder;
use netrx_mock::{
    DriverConfig, FakeDriver, MockIrq, MockMemory, Placing, Rig, RigError, Script, ScriptedSource, Shape,
    traffic,
};

pub(crate) type Tested = Result<(), Box<dyn Error>>;

/// How long anything may take before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

/// A guest behind an engine that is turned by hand.
pub(crate) fn guest(size: u16) -> Result<Rig, RigError> {
    guest_with(size, EngineConfig::default())
}

pub(crate) fn guest_with(size: u16, config: EngineConfig) -> Result<Rig, RigError> {
    Rig::with(DriverConfig::new(size, Features::VERSION_1, Shape::single(2048)), config)
}

/// A guest that merges its buffers, so that it takes frames of any length.
pub(crate) fn merging_guest(size: u16, config: EngineConfig) -> Result<Rig, RigError> {
    let features = Features::VERSION_1 | Features::MRG_RXBUF;
    Rig::with(DriverConfig::new(size, features, Shape::single(2048)), config)
}

/// A guest behind a worker.
pub(crate) struct Worker {
    pub(crate) slot: Arc<RxWorkerSlot<MockMemory, MockIrq>>,
    pub(crate) driver: FakeDriver,
}

impl Worker {
    pub(crate) fn start(source: impl FrameSource + 'static) -> Result<Self, Box<dyn Error>> {
        let memory = MockMemory::heap(&[1 << 20]);
        let features = Features::VERSION_1 | Features::EVENT_IDX;
        let driver = FakeDriver::new(&memory, DriverConfig::new(64, features, Shape::single(2048)))?;
        let slot = Arc::new(RxWorkerSlot::default());
        slot.deposit_memory(memory);
        slot.deposit_irq(MockIrq::new().0);
        slot.offer_source(0, source);
        let engine = EngineConfig::default();
        slot.driver_ok(RxConfig { ring: driver.ring_config(), features, engine, restored: false })?;
        Ok(Self { slot, driver })
    }

    /// Refills and drains until `count` frames have come.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let (mut frames, mut last) = (Vec::new(), Instant::now());
        while frames.len() < count {
            assert!(last.elapsed() < STUCK, "only {} of {count} frames came", frames.len());
            if self.driver.post(usize::MAX).kick {
                self.slot.kick();
            }
            let before = frames.len();
            frames.extend(self.driver.drain_frames()?);
            if frames.len() > before {
                last = Instant::now();
            }
            std::thread::yield_now();
        }
        Ok(frames)
    }

    /// Stops it; the ledgers balance.
    pub(crate) fn stop(self) -> Result<Stats, Box<dyn Error>> {
        let stopped = self.slot.stop()?.ok_or("it was running")?;
        assert!(stopped.report.stats.is_balanced(), "{:?}", stopped.report);
        Ok(stopped.report.stats)
    }
}

/// Counts how often a source is asked and waited for.
pub(crate) struct Counted<S> {
    pub(crate) inner: S,
    pub(crate) recvs: Arc<AtomicU64>,
    pub(crate) waits: Arc<AtomicU64>,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, recvs: Arc::default(), waits: Arc::default() }
    }

    /// Reads both counts later.
    pub(crate) fn counts(&self) -> impl Fn() -> (u64, u64) + use<S> {
        let (recvs, waits) = (Arc::clone(&self.recvs), Arc::clone(&self.waits));
        move || (recvs.load(Ordering::Relaxed), waits.load(Ordering::Relaxed))
    }
}

impl<S: FrameSource> FrameSource for Counted<S> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.recvs.fetch_add(1, Ordering::Relaxed);
        self.inner.recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.inner.wait(until)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}

/// Waits until a source is left alone; returns how often it was asked and waited for.
pub(crate) fn asleep(counts: &impl Fn() -> (u64, u64)) -> (u64, u64) {
    let begin = Instant::now();
    loop {
        let before = counts();
        std::thread::sleep(QUIET);
        if counts() == before {
            return before;
        }
        assert!(begin.elapsed() < STUCK, "it does not sleep: {:?} looks and waits", counts());
    }
}

/// A source that closes after its last frame.
pub(crate) struct Finite(ScriptedSource);

impl Finite {
    pub(crate) fn new(placing: Placing, frames: &[Vec<u8>]) -> Self {
        let (source, script) = ScriptedSource::placing(placing);
        frames.iter().for_each(|frame| script.frame(frame.as_slice()));
        Self(source)
    }
}

impl FrameSource for Finite {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let received = self.0.recv(space)?;
        Ok(if received == Received::Empty { Received::Closed } else { received })
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.0.wait(until)
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }
}

/// Feeds a source by its script.
pub(crate) struct Feed(pub(crate) Script);

impl Feeder for Feed {
    fn send(&mut self, frame: &[u8]) {
        self.0.frame(frame);
    }
}

/// Frame `number`.
pub(crate) fn frame(number: u64, len: usize) -> Vec<u8> {
    traffic::frame(number, len)
}

/// Sources, merged.
#[cfg(unix)]
pub(crate) fn merge<S: FrameSource>(sources: impl IntoIterator<Item = S>) -> Merge<S> {
    let merged = Merge::new(sources);
    assert!(merged.is_ok(), "there are descriptors to spare: {merged:?}");
    merged.unwrap_or_else(|error| unreachable!("{error}"))
}
