//! The suite of [`FrameSource`].

use std::sync::mpsc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use netrx::{Features, FrameSource, Progress};

use super::{Event, Events};
use crate::{DriverConfig, Rig, Shape, traffic};

/// How long anything may take before the suite calls it stuck.
pub(super) const STUCK: Duration = Duration::from_secs(20);
/// How long a source is watched for waking up without a reason.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// How often it may all the same: a wait may end early, and yet nobody polls.
pub(super) const MOST_LOOKS: u32 = 20;

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
    waiting_source(make);
}

/// Runs the part of the suite that looks into no frame, for sources that make their own: `make` gives an open, empty source,
/// and its far end.
pub fn waiting_source<S: FrameSource + 'static, E: Events>(make: impl Fn() -> (S, E)) {
    run_empty(&mut make().0);
    a_wake_before_a_wait_is_remembered(make());
    a_wake_outlives_a_recv(make());
    a_wake_during_a_wait_ends_it(make());
    a_deadline_ends_a_wait(make());
    for event in E::EVENTS {
        an_event_outlasts_a_full_guest(make(), event);
        an_event_ends_a_wait(&make, event);
    }
}

/// A guest to send frames to.
pub(super) fn guest(size: u16, features: Features, shape: Shape) -> Rig {
    match Rig::new(DriverConfig::new(size, features, shape)) {
        Ok(rig) => rig,
        Err(error) => panic!("the suite's own guest: {error}"),
    }
}

/// Takes so many frames.
pub(super) fn take(rig: &mut Rig, source: &mut impl FrameSource, count: usize) -> Vec<Vec<u8>> {
    match rig.take(source, count) {
        Ok(frames) => frames,
        Err(error) => panic!("{count} frames come: {error}"),
    }
}

/// Has a source find out that it is empty, and say so however often it is asked.
pub(super) fn run_empty(source: &mut impl FrameSource) {
    let mut rig = guest(16, Features::VERSION_1, Shape::single(2048));
    rig.driver.post(16);
    for _ in 0..3 {
        let polled = rig.poll(source);
        assert!(matches!(polled, Ok(Progress::Idle)), "an empty source is idle: {polled:?}");
    }
}

/// Takes so many frames that came of something, after which the source is empty.
pub(super) fn take_all(source: &mut impl FrameSource, count: usize, what: &str) {
    let mut rig = guest(16, Features::VERSION_1, Shape::single(2048));
    let frames = take(&mut rig, source, count);
    let more = rig.drain(source);
    let is_all = frames.len() == count && more.as_ref().is_ok_and(Vec::is_empty);
    assert!(is_all, "{what} brings {count} frames and no more: {} came, then {more:?}", frames.len());
}

/// Offers a source a guest that has posted nothing, then takes the `count` frames that waited.
pub(super) fn take_after_starving(source: &mut impl FrameSource, count: usize) -> Vec<Vec<u8>> {
    let mut rig = guest(4, Features::VERSION_1, Shape::single(2048));
    for _ in 0..3 {
        let polled = rig.poll(source);
        assert!(matches!(polled, Ok(Progress::Starved)), "the guest has posted nothing: {polled:?}");
        // As a worker does before it sleeps.
        source.starved(Waker::noop());
    }
    take(&mut rig, source, count)
}

fn frames_arrive_whole_and_in_order<S: FrameSource, F: Feeder>(
    (mut source, mut feeder): (S, F),
    features: Features,
    shape: Shape,
) {
    let mut rig = guest(32, features, shape);
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
    let frames = take(&mut rig, &mut source, lens.len());
    for (number, (frame, len)) in (0..).zip(frames.iter().zip(&lens)) {
        assert_eq!(frame.len(), *len, "length of frame {number}");
        assert!(traffic::is_frame(number, frame), "bytes of frame {number}");
    }
    let checked = rig.check();
    assert!(checked.is_ok(), "nothing else was written, and the ledger balances: {checked:?}");
    assert!(sender.join().is_ok(), "the feeder is well");
}

fn a_full_guest_loses_nothing<S: FrameSource, F: Feeder>((mut source, mut feeder): (S, F)) {
    let mut frame = Vec::new();
    for number in 0..8 {
        traffic::make(number, 100, &mut frame);
        feeder.send(&frame);
    }
    let frames = take_after_starving(&mut source, 8);
    assert!((0..).zip(&frames).all(|(number, frame)| traffic::is_frame(number, frame)), "all 8, in order");
}

pub(super) fn a_wake_before_a_wait_is_remembered<S: FrameSource, K>((mut source, _kept): (S, K)) {
    source.waker().wake_by_ref();
    let begin = Instant::now();
    assert!(source.wait(Some(begin + STUCK)).is_ok(), "waiting works");
    assert!(begin.elapsed() < STUCK, "a wake before the wait ends it");
}

fn a_wake_outlives_a_recv<S: FrameSource, K>((mut source, _kept): (S, K)) {
    let mut rig = guest(16, Features::VERSION_1, Shape::single(2048));
    rig.driver.post(16);
    source.waker().wake_by_ref();
    let polled = rig.poll(&mut source);
    assert!(polled.is_ok(), "polling works: {polled:?}");
    let begin = Instant::now();
    assert!(source.wait(Some(begin + STUCK)).is_ok(), "waiting works");
    assert!(begin.elapsed() < STUCK, "a wake before the recv ends the wait after it");
}

/// Waits on a thread of its own; the answer comes back with the source.
pub(super) fn waiting<S: FrameSource + 'static>(
    mut source: S,
    until: Option<Instant>,
) -> mpsc::Receiver<(S, bool)> {
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

fn an_event_outlasts_a_full_guest<S: FrameSource, E>((mut source, mut far): (S, E), event: &Event<E>) {
    run_empty(&mut source);
    (event.happens)(&mut far);
    let waited = source.wait(Some(Instant::now() + STUCK));
    let came = take_after_starving(&mut source, 1).len();
    assert!(waited.is_ok() && came == 1, "{} is not lost on a full guest: {waited:?}", event.what);
}

/// Both what happens before the wait, and what happens during it.
fn an_event_ends_a_wait<S: FrameSource + 'static, E>(make: &impl Fn() -> (S, E), event: &Event<E>) {
    for before in [true, false] {
        let (mut source, mut far) = make();
        run_empty(&mut source);
        if before {
            (event.happens)(&mut far);
        }
        let answer = waiting(source, None);
        if !before {
            assert!(answer.recv_timeout(QUIET).is_err(), "nothing ends the wait but its reason");
            (event.happens)(&mut far);
        }
        let Ok((mut source, true)) = answer.recv_timeout(STUCK) else { panic!("{} ends a wait", event.what) };
        take_all(&mut source, 1, event.what);
        // It ends no wait but that one.
        a_deadline_ends_a_wait((source, far));
    }
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
    assert!(waits < MOST_LOOKS, "a wait ends for a reason, not {waits} times before its deadline");
}
