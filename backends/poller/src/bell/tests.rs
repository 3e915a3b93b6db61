//! Both bells ring in a queue of their own, whichever of them this system uses.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::thread;
use std::time::Duration;

use crate::sys::{self, EventFlag, Kqueue, kevent};

/// How many events are collected within `at_most`, and of those, how many `is_bell` says are the bell's.
fn collected(queue: &Kqueue, at_most: Duration, is_bell: impl Fn(&kevent) -> bool) -> (usize, usize) {
    let mut events = [sys::readable(0, 0, EventFlag::empty()); 2];
    let count = queue.collect(&mut events, Some(at_most)).expect("it collects");
    (count, events.iter().take(count).filter(|event| is_bell(event)).count())
}

macro_rules! rings {
    ($name:ident, $bell:ty) => {
        #[test]
        fn $name() {
            let bell = <$bell>::new(Kqueue::new().expect("a queue")).expect("a bell");
            let collect = |at_most| collected(bell.queue(), at_most, |event| bell.is_rung_by(event));
            assert_eq!(collect(Duration::from_millis(20)), (0, 0), "it is silent");
            for _ in 0..100 {
                bell.waker().wake();
            }
            assert_eq!(collect(Duration::from_secs(20)), (1, 1), "it remembers being rung");
            bell.silence();
            assert_eq!(collect(Duration::from_millis(20)), (0, 0), "it is silent again");
            let waker = bell.waker();
            let ringing = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                waker.wake();
            });
            assert_eq!(collect(Duration::from_secs(20)), (1, 1), "it is heard while it is waited for");
            assert!(ringing.join().is_ok());
        }
    };
}

#[cfg(user_events)]
rings!(user_bell_rings, super::user::Bell);
rings!(pair_bell_rings, super::pair::Bell);

#[test]
fn a_full_pair_bell_does_not_block_its_waker() {
    let bell = super::pair::Bell::new(Kqueue::new().expect("a queue")).expect("a bell");
    let waker = bell.waker();
    for _ in 0..100_000 {
        waker.wake_by_ref();
    }
    bell.silence();
    assert_eq!(collected(bell.queue(), Duration::from_millis(20), |_| true), (0, 0));
}
