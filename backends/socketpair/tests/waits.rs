//! Waiting: for frames, for the waker, for a time, and for nothing else.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use netrx::worker::End;
use netrx::{EngineConfig, Features, FrameSource, Progress, RxConfig, RxWorkerSlot};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape};
use netrx_socketpair::SocketSource;

use rig::{QUIET, STUCK, frame, numbers, plain_guest, whole};

/// Waits on a thread of its own; the source comes back when that is over.
fn waiting(mut source: SocketSource) -> mpsc::Receiver<SocketSource> {
    let (done, over) = mpsc::channel();
    thread::spawn(move || {
        source.wait(None).expect("it waits");
        done.send(source)
    });
    over
}

#[test]
fn nothing_ends_a_wait_but_its_reason() {
    let (source, far) = SocketSource::pair(1514).expect("a pair");
    let waker = source.waker();
    let over = waiting(source);
    assert!(over.recv_timeout(QUIET).is_err(), "nobody woke it");
    waker.wake_by_ref();
    let source = over.recv_timeout(STUCK).expect("the waker ends it");
    let over = waiting(source);
    assert!(over.recv_timeout(QUIET).is_err(), "that wake was used up");
    far.send(&frame(0, 60)).expect("there is room");
    let source = over.recv_timeout(STUCK).expect("a frame ends it");
    assert!(waiting(source).recv_timeout(STUCK).is_ok(), "the frame is still there");
}

#[test]
fn wakes_are_remembered_and_worth_one_wait() {
    let (source, _far) = SocketSource::pair(1514).expect("a pair");
    let waker = source.waker();
    for _ in 0..3 {
        waker.wake_by_ref();
    }
    let source = waiting(source).recv_timeout(STUCK).expect("the waker ends it");
    assert!(waiting(source).recv_timeout(QUIET).is_err(), "all three were for the first wait");
    waker.wake();
}

#[test]
fn a_wake_is_not_used_up_by_reading() {
    let (mut source, far) = SocketSource::pair(1514).expect("a pair");
    far.send(&frame(0, 60)).expect("there is room");
    source.waker().wake();
    assert_eq!(plain_guest().turn(&mut source).expect("a turn").0, Progress::Idle);
    assert!(waiting(source).recv_timeout(STUCK).is_ok());
}

#[test]
fn wakes_race_with_waits_and_none_is_lost() {
    let (mut source, _far) = SocketSource::pair(1514).expect("a pair");
    let waker = source.waker();
    let (ask, asked) = mpsc::channel::<()>();
    let waking = thread::spawn(move || asked.into_iter().for_each(|()| waker.wake_by_ref()));
    for round in 0..2000 {
        ask.send(()).expect("the other thread is there");
        let begin = Instant::now();
        source.wait(Some(begin + STUCK)).expect("it waits");
        assert!(begin.elapsed() < STUCK, "round {round}");
    }
    drop(ask);
    assert!(waking.join().is_ok());
}

#[test]
fn a_deadline_ends_a_wait_and_not_before() {
    let (mut source, _far) = SocketSource::pair(1514).expect("a pair");
    for left in
        [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(700), Duration::from_millis(30)]
    {
        let until = Instant::now() + left;
        let mut waits = 0;
        while Instant::now() < until {
            source.wait(Some(until)).expect("it waits");
            waits += 1;
        }
        assert!(waits < 20, "{waits} waits in {left:?}");
        source.wait(Some(until)).expect("a time that has passed is no error");
    }
}

#[test]
fn a_waker_outlives_its_source() {
    let (source, _far) = SocketSource::pair(1514).expect("a pair");
    let waker = source.waker();
    drop(source);
    waker.wake();
}

#[test]
fn a_worker_sleeps_wakes_and_stops() {
    let memory = MockMemory::heap(&[1 << 20]);
    let config = DriverConfig::new(16, Features::VERSION_1, Shape::single(2048));
    let mut driver = FakeDriver::new(&memory, config).expect("it fits");
    let (irq, interrupts) = MockIrq::new();
    let slot = RxWorkerSlot::new("netrx-test");
    slot.deposit_memory(memory);
    slot.deposit_irq(irq);
    let (source, far) = SocketSource::pair(1514).expect("a pair");
    slot.offer_source(0, source);
    for round in 0..3 {
        driver.post(usize::MAX);
        let config = RxConfig {
            ring: driver.ring_config(),
            features: Features::VERSION_1,
            engine: EngineConfig::default(),
            restored: false,
        };
        slot.driver_ok(config).expect("it starts");
        let seen = interrupts.raised();
        far.send(&frame(round, 60)).expect("there is room");
        assert!(interrupts.wait_beyond(seen, STUCK) > seen, "the frame interrupts");
        assert_eq!(numbers(&driver.drain_frames().expect("no complaint")), whole([round]));
        let report = slot.reset().expect("it stops").expect("it was running");
        assert!(matches!(report.end, End::Stopped), "{report:?}");
        driver =
            FakeDriver::new(driver.memory(), DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))
                .expect("it fits");
    }
}
