//! What a poller tells of, and when.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use super::*;
use crate::sys::EVENTS;

/// How long something is watched for not happening.
const QUIET: Duration = Duration::from_millis(30);
/// How long anything may take before it is called stuck.
const STUCK: Duration = Duration::from_secs(20);

/// A poller, a stream that it watches, and that one's far end.
fn watching(name: u32, trigger: Trigger) -> (Poller, UnixStream, UnixStream) {
    let poller = Poller::new(trigger).expect("a poller");
    let (near, far) = UnixStream::pair().expect("a pair");
    poller.watch(near.as_fd(), name).expect("it is watched");
    (poller, near, far)
}

/// The names that a wait of at most so long comes to, and how long it took.
fn waited(poller: &Poller, at_most: Duration) -> (Vec<u32>, Duration) {
    let (begin, mut names) = (Instant::now(), Vec::new());
    poller.wait(Some(begin + at_most), |event| names.push(event.name)).expect("it waits");
    (names, begin.elapsed())
}

/// A wait that ends for its reason.
fn told(poller: &Poller) -> Vec<u32> {
    let (names, took) = waited(poller, STUCK);
    assert!(took < STUCK, "nothing ended it");
    names
}

/// Only the time ends a wait, of which libkpoller cuts off what is no whole millisecond.
fn assert_quiet(poller: &Poller) {
    let (names, took) = waited(poller, QUIET);
    assert!(names.is_empty() && took + Duration::from_millis(1) >= QUIET, "{names:?} after {took:?}");
}

#[test]
fn what_stays_readable_is_told_of_by_level_again_and_by_edge_once() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (poller, mut near, mut far) = watching(7, trigger);
        assert_quiet(&poller);
        for _ in 0..2 {
            far.write_all(b"12").expect("there is room");
            assert_eq!(told(&poller), [7]);
            match trigger {
                Trigger::Level => assert_eq!(told(&poller), [7], "it is still readable"),
                Trigger::Edge => assert_quiet(&poller),
            }
            near.read_exact(&mut [0]).expect("it is there");
        }
        near.read_exact(&mut [0; 2]).expect("they are there");
        assert_quiet(&poller);
    }
}

#[test]
fn a_hushed_descriptor_is_told_of_again_when_it_is_listened_to() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (poller, mut near, mut far) = watching(7, trigger);
        for name in [8, 9] {
            poller.hush(near.as_fd(), 7).expect("it is watched");
            far.write_all(b"1").expect("there is room");
            assert_quiet(&poller);
            poller.listen(near.as_fd(), 7).expect("it is watched");
            assert_eq!(told(&poller), [7], "it has bytes already, {name}");
            near.read_exact(&mut [0]).expect("it is there");
            assert_quiet(&poller);
            far.write_all(b"2").expect("there is room");
            assert_eq!(told(&poller), [7], "it got one, {name}");
            near.read_exact(&mut [0]).expect("it is there");
        }
    }
}

#[test]
fn a_descriptor_is_forgotten_hushed_or_not() {
    for hushed in [false, true] {
        let (poller, near, mut far) = watching(7, Trigger::Edge);
        if hushed {
            poller.hush(near.as_fd(), 7).expect("it is watched");
        }
        poller.forget(near.as_fd()).expect("it is watched");
        far.write_all(b"1").expect("there is room");
        assert_quiet(&poller);
        poller.watch(near.as_fd(), 8).expect("it is watched");
        assert_eq!(told(&poller), [8], "by its new name");
    }
}

#[test]
fn the_end_is_told() {
    let (poller, _near, far) = watching(7, Trigger::Edge);
    drop(far);
    let mut events = Vec::new();
    poller.wait(Some(Instant::now() + STUCK), |event| events.push(event)).expect("it waits");
    assert_eq!(events, [Event { name: 7, ended: true }]);
}

#[test]
fn collecting_does_not_sleep_and_takes_what_a_wait_would() {
    let (poller, _near, mut far) = watching(7, Trigger::Edge);
    let collected = || {
        let mut names = Vec::new();
        poller.collect(|event| names.push(event.name)).expect("it collects");
        names
    };
    assert!(collected().is_empty());
    poller.waker().wake();
    far.write_all(b"1").expect("there is room");
    assert_eq!(collected(), [7]);
    assert_quiet(&poller);
}

#[test]
fn many_are_told_of_by_their_names() {
    let poller = Poller::new(Trigger::Edge).expect("a poller");
    let mut pairs = Vec::new();
    for name in 0..3 * EVENTS as u32 {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        poller.watch(near.as_fd(), name).expect("it is watched");
        far.write_all(b"1").expect("there is room");
        pairs.push((near, far));
    }
    let mut all = Vec::new();
    while all.len() < pairs.len() {
        let names = told(&poller);
        assert!((1..=EVENTS).contains(&names.len()), "{} at once", names.len());
        all.extend(names);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..3 * EVENTS as u32), "each once");
    assert_quiet(&poller);
}

#[test]
fn a_wake_ends_a_wait_from_any_thread_and_outlives_the_poller() {
    let (poller, _near, _far) = watching(7, Trigger::Edge);
    let waker = poller.waker();
    waker.wake_by_ref();
    assert!(told(&poller).is_empty(), "it is remembered");
    assert_quiet(&poller);
    let waking = thread::spawn(move || {
        thread::sleep(QUIET);
        waker.wake_by_ref();
        waker
    });
    assert!(told(&poller).is_empty(), "it is heard");
    drop(poller);
    waking.join().expect("the thread is well").wake();
}
