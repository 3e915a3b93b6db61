//! What a poller tells of, and when.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

#[cfg(not(libkqueue))]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::sys::EVENTS;

/// How long something is watched for not happening.
const QUIET: Duration = Duration::from_millis(30);
/// How long anything may take before it is called stuck.
const STUCK: Duration = Duration::from_secs(20);
/// What may be cut off the time of a wait: libkqueue takes whole milliseconds.
const CUT: Duration = Duration::from_millis(cfg!(libkqueue) as u64);

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

/// Only the time ends a wait.
fn assert_quiet(poller: &Poller) {
    let (names, took) = waited(poller, QUIET);
    assert!(names.is_empty() && took + CUT >= QUIET, "{names:?} after {took:?}");
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
fn bytes_and_the_end_are_told_apart() {
    let (poller, _near, mut far) = watching(7, Trigger::Edge);
    let events = || {
        let mut events = Vec::new();
        poller.wait(Some(Instant::now() + STUCK), |event| events.push(event)).expect("it waits");
        events
    };
    far.write_all(b"1").expect("there is room");
    assert_eq!(events(), [Event { name: 7, ended: false, reads_short: cfg!(kqueue) }]);
    drop(far);
    assert_eq!(events(), [Event { name: 7, ended: true, reads_short: true }]);
}

#[test]
fn a_hushed_descriptor_is_told_of_once_at_most_though_it_ends() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (poller, near, far) = watching(7, trigger);
        poller.hush(near.as_fd(), 7).expect("it is watched");
        drop(far);
        if cfg!(epoll) {
            assert_eq!(told(&poller), [7], "a hang-up is told of all the same");
        }
        assert_quiet(&poller);
    }
}

/// Whether the poller's own descriptor is readable.
#[cfg(not(libkqueue))]
fn is_readable(poller: &Poller) -> bool {
    let mut asked = [PollFd::new(poller, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).expect("it can be polled") > 0
}

// The descriptor of libkqueue's queues is never readable.
#[cfg(not(libkqueue))]
#[test]
fn its_own_descriptor_is_readable_while_a_wait_would_end_at_once() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (poller, mut near, mut far) = watching(7, trigger);
        assert!(!is_readable(&poller));
        poller.waker().wake();
        assert!(is_readable(&poller), "a wake");
        assert!(told(&poller).is_empty());
        assert!(!is_readable(&poller), "it was waited for");
        far.write_all(b"1").expect("there is room");
        assert!(is_readable(&poller), "a byte");
        assert_eq!(told(&poller), [7]);
        near.read_exact(&mut [0]).expect("it is there");
        assert!(!is_readable(&poller), "it was read");
    }
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
