//! The suite of [`FrameSource`].

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use netrx::ring::SplitRing;
use netrx::{Engine, EngineConfig, Features, FrameSource, Progress};

use crate::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape, traffic};

/// How long anything may take before the suite calls it stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How long a source is watched for waking up without a reason.
const QUIET: Duration = Duration::from_millis(50);

/// Puts frames into the far end of a source.
pub trait Feeder: Send + 'static {
    /// Sends a frame; blocks or retries while the source has no room for it.
    fn send(&mut self, frame: &[u8]);
}

/// Runs the suite: `make` gives an open, empty source and what feeds it. Dropping the feeder need not close the source.
pub fn source<S: FrameSource + 'static, F: Feeder>(make: impl Fn() -> (S, F)) {
    frames_arrive_whole_and_in_order(make(), Features::VERSION_1, Shape::single(2048));
    let tiny_first = Shape::chained(&[1, 11, 3, 2033]);
    frames_arrive_whole_and_in_order(make(), Features::NONE, tiny_first);
    let merged = Features::VERSION_1 | Features::MRG_RXBUF;
    frames_arrive_whole_and_in_order(make(), merged, Shape::single(256));
    a_full_guest_loses_nothing(make());
    a_frame_ends_a_wait(make());
    waiting_source(make);
}

/// Runs the part of the suite that needs no frames, for sources that make their own: `make` gives an open, empty source, and
/// whatever has to be kept for it to stay so.
pub fn waiting_source<S: FrameSource + 'static, K>(make: impl Fn() -> (S, K)) {
    empty_is_idle(make());
    a_wake_before_a_wait_is_remembered(make());
    a_wake_outlives_a_recv(make());
    a_wake_during_a_wait_ends_it(make());
    a_deadline_ends_a_wait(make());
}

pub(super) struct Rig {
    pub(super) driver: FakeDriver,
    pub(super) engine: Engine<MockMemory, MockIrq>,
}

pub(super) fn rig(size: u16, features: Features, shape: Shape) -> Option<Rig> {
    let memory = MockMemory::heap(&[1 << 20, 1 << 20]);
    let driver = FakeDriver::new(&memory, DriverConfig::new(size, features, shape)).ok()?;
    let ring = SplitRing::new(driver.ring_config(), features, &memory).ok()?;
    let engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
    Some(Rig { driver, engine })
}

impl Rig {
    /// Polls until `count` frames have come through, refilling at once.
    pub(super) fn take(&mut self, source: &mut impl FrameSource, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let begin = Instant::now();
        while frames.len() < count {
            assert!(begin.elapsed() < STUCK, "only {} of {count} frames came", frames.len());
            self.driver.post(usize::MAX);
            match self.engine.poll(source, Instant::now()) {
                Ok(Progress::Idle) if self.driver.has_used() => {}
                Ok(Progress::Idle) => assert!(source.wait(Some(begin + STUCK)).is_ok(), "waiting works"),
                polled => assert!(polled.is_ok(), "polling works: {polled:?}"),
            }
            let drained = self.driver.drain_frames();
            assert!(drained.is_ok(), "the guest has no complaint: {drained:?}");
            frames.extend(drained.unwrap_or_default());
        }
        frames
    }
}

fn empty_is_idle<S: FrameSource, K>((mut source, _kept): (S, K)) {
    let Some(mut rig) = rig(16, Features::VERSION_1, Shape::single(2048)) else { return };
    rig.driver.post(16);
    for _ in 0..3 {
        let polled = rig.engine.poll(&mut source, Instant::now());
        assert!(matches!(polled, Ok(Progress::Idle)), "an empty source is idle: {polled:?}");
    }
}

fn frames_arrive_whole_and_in_order<S: FrameSource, F: Feeder>(
    (mut source, mut feeder): (S, F),
    features: Features,
    shape: Shape,
) {
    let Some(mut rig) = rig(32, features, shape) else { return };
    let lens: Vec<usize> = [14, 15, 22, 60, 64, 255, 256, 257, 1000, 1514].repeat(20);
    let sent = lens.clone();
    let sender = thread::spawn(move || {
        let mut frame = Vec::new();
        for (number, len) in (0..).zip(sent) {
            traffic::make(number, len, &mut frame);
            feeder.send(&frame);
        }
        feeder
    });
    let frames = rig.take(&mut source, lens.len());
    for (number, (frame, len)) in (0..).zip(frames.iter().zip(&lens)) {
        assert_eq!(frame.len(), *len, "length of frame {number}");
        assert!(traffic::is_frame(number, frame), "bytes of frame {number}");
    }
    assert!(rig.driver.audit().is_ok(), "nothing else was written");
    assert!(rig.engine.counters().snapshot().is_balanced(), "the ledger balances");
    assert!(sender.join().is_ok(), "the feeder is well");
}

fn a_full_guest_loses_nothing<S: FrameSource, F: Feeder>((mut source, mut feeder): (S, F)) {
    let Some(mut rig) = rig(4, Features::VERSION_1, Shape::single(2048)) else { return };
    let mut frame = Vec::new();
    for number in 0..8 {
        traffic::make(number, 100, &mut frame);
        feeder.send(&frame);
    }
    for _ in 0..3 {
        let polled = rig.engine.poll(&mut source, Instant::now());
        assert!(matches!(polled, Ok(Progress::Starved)), "the guest has posted nothing: {polled:?}");
    }
    let frames = rig.take(&mut source, 8);
    assert!((0..).zip(&frames).all(|(number, frame)| traffic::is_frame(number, frame)), "all 8, in order");
}

pub(super) fn a_wake_before_a_wait_is_remembered<S: FrameSource, K>((mut source, _kept): (S, K)) {
    source.waker().wake_by_ref();
    let begin = Instant::now();
    assert!(source.wait(Some(begin + STUCK)).is_ok(), "waiting works");
    assert!(begin.elapsed() < STUCK, "a wake before the wait ends it");
}

fn a_wake_outlives_a_recv<S: FrameSource, K>((mut source, _kept): (S, K)) {
    let Some(mut rig) = rig(16, Features::VERSION_1, Shape::single(2048)) else { return };
    rig.driver.post(16);
    source.waker().wake_by_ref();
    let polled = rig.engine.poll(&mut source, Instant::now());
    assert!(polled.is_ok(), "polling works: {polled:?}");
    let begin = Instant::now();
    assert!(source.wait(Some(begin + STUCK)).is_ok(), "waiting works");
    assert!(begin.elapsed() < STUCK, "a wake before the recv ends the wait after it");
}

/// Waits on a thread of its own; the answer comes back with the source.
fn waiting<S: FrameSource + 'static>(mut source: S, until: Option<Instant>) -> mpsc::Receiver<(S, bool)> {
    let (done, answer) = mpsc::channel();
    thread::spawn(move || {
        let waited = source.wait(until).is_ok();
        done.send((source, waited))
    });
    answer
}

pub(super) fn a_wake_during_a_wait_ends_it<S: FrameSource + 'static, K>((source, _kept): (S, K)) {
    let waker = source.waker();
    let answer = waiting(source, None);
    assert!(answer.recv_timeout(QUIET).is_err(), "nothing ends the wait but its reason");
    waker.wake_by_ref();
    assert!(matches!(answer.recv_timeout(STUCK), Ok((_, true))), "a wake ends the wait");
    waker.wake();
}

fn a_frame_ends_a_wait<S: FrameSource + 'static, F: Feeder>((source, mut feeder): (S, F)) {
    let answer = waiting(source, None);
    assert!(answer.recv_timeout(QUIET).is_err(), "nothing ends the wait but its reason");
    let frame = traffic::frame(0, 60);
    feeder.send(&frame);
    assert!(matches!(answer.recv_timeout(STUCK), Ok((_, true))), "a frame ends the wait");
}

fn a_deadline_ends_a_wait<S: FrameSource + 'static, K>((mut source, _kept): (S, K)) {
    let until = Instant::now() + QUIET;
    let mut waits = 0;
    while Instant::now() < until {
        let Ok((back, true)) = waiting(source, Some(until)).recv_timeout(STUCK) else {
            unreachable!("a deadline ends a wait")
        };
        (source, waits) = (back, waits + 1);
    }
    assert!(waits < 20, "a wait ends for a reason, not {waits} times before its deadline");
}
