//! Wakes against a source that goes to sleep on its flag, or is waited for elsewhere.

#![cfg(loom)]

use std::time::Instant;

use loom::thread;
use netrx::source::{WakeFlag, Watch};
use netrx_loom::check;

/// A wake ends the wait that it meets, and none after it; a second one ends the next.
#[test]
fn two_wakes_meet_two_waits() {
    check(5, || {
        let (first, second) = (WakeFlag::default(), WakeFlag::default());
        let (wakes, heard) = (first.waker(), second.waker());
        let waking = thread::spawn(move || {
            wakes.wake_by_ref();
            second.wait(None);
            wakes.wake();
        });
        first.wait(None);
        heard.wake();
        first.wait(None);
        assert!(waking.join().is_ok());
    });
}

/// Whoever waits elsewhere is told of a wake that comes as it begins to watch: the flag is up already, or its waker is woken.
#[test]
fn a_wake_meets_a_watch() {
    check(5, || {
        let (flag, elsewhere) = (WakeFlag::default(), WakeFlag::default());
        let (waker, watcher) = (flag.waker(), elsewhere.waker());
        let waking = thread::spawn(move || waker.wake());
        let mut watch = Watch::new(&watcher);
        let _ = flag.watch(&mut watch);
        if !watch.is_ready() {
            elsewhere.wait(None);
        }
        flag.wait(Some(Instant::now()));
        assert!(waking.join().is_ok());
        let mut again = Watch::new(&watcher);
        let _ = flag.watch(&mut again);
        assert!(!again.is_ready(), "the wait has noted the wake");
    });
}
