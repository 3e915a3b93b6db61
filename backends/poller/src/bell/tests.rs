//! Bells ring in a queue of their own, whichever of them this system uses.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Trigger;
use crate::sys::Queue;

/// How long it is listened to while it is silent.
const QUIET: Duration = Duration::from_millis(20);
/// How long anything may take before it is called stuck.
const STUCK: Duration = Duration::from_secs(20);

/// The numbers of the events that are collected within `at_most`.
fn collected(queue: &Queue, at_most: Duration) -> Vec<RawFd> {
    let mut numbers = Vec::new();
    queue.collect(Some(at_most), |number, _| numbers.push(number)).expect("it collects");
    numbers
}

macro_rules! rings {
    ($name:ident, $bell:ty) => {
        #[test]
        fn $name() {
            for trigger in [Trigger::Level, Trigger::Edge] {
                let queue = Arc::new(Queue::new(trigger).expect("a queue"));
                let bell = <$bell>::new(&queue).expect("a bell");
                let (rung, collect) = ([bell.number()], |at_most| collected(&queue, at_most));
                assert_eq!(collect(QUIET), [], "it is silent");
                for _ in 0..100 {
                    bell.waker().wake();
                }
                assert_eq!(collect(STUCK), rung, "it remembers being rung");
                bell.silence();
                assert_eq!(collect(QUIET), [], "it is silent again");
                let waker = bell.waker();
                let ringing = thread::spawn(move || {
                    thread::sleep(QUIET);
                    waker.wake();
                });
                assert_eq!(collect(STUCK), rung, "it is heard while it is waited for");
                assert!(ringing.join().is_ok());
            }
        }
    };
}

#[cfg(epoll)]
rings!(counter_bell_rings, super::counter::Bell);
#[cfg(user_events)]
rings!(user_bell_rings, super::user::Bell);
rings!(pair_bell_rings, super::pair::Bell);

#[test]
fn a_full_pair_bell_does_not_block_its_waker() {
    let queue = Queue::new(Trigger::Level).expect("a queue");
    let bell = super::pair::Bell::new(&queue).expect("a bell");
    let waker = bell.waker();
    for _ in 0..100_000 {
        waker.wake_by_ref();
    }
    bell.silence();
    assert_eq!(collected(&queue, QUIET), []);
}
