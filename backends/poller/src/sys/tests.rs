//! Signals, which are not sent without `unsafe` code.

#![allow(unsafe_code, reason = "handles a signal, and sends it to a thread")]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::mem::zeroed;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use libc::c_int;

use crate::{Poller, Trigger};

/// How long a thread has to come back after a signal before it is sent another.
const PAUSE: Duration = Duration::from_millis(1);
/// So many are sent before it is called stuck.
const MOST: usize = 20_000;

/// Does nothing: that a signal came is what ends the system call.
extern "C" fn interrupt(_signal: c_int) {}

/// Has a signal interrupt calls, which are not begun again.
fn install_handler(signal: c_int) {
    // SAFETY: plain data, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = interrupt as *const () as usize;
    // SAFETY: the handler does nothing, and the old one is not asked for.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

#[test]
fn a_signal_ends_a_wait_without_an_error() {
    install_handler(libc::SIGUSR1);
    for until in [None, Some(Instant::now() + Duration::from_secs(3600))] {
        let poller = Poller::new(Trigger::Edge).expect("a poller");
        let (done, over) = channel();
        let waiting = thread::spawn(move || done.send(poller.wait(until, |_| {})));
        // Whenever it falls asleep, one of these comes after that.
        let came_back = (0..MOST).find_map(|_| {
            // SAFETY: the thread was not joined; the signal has a handler.
            unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR1) };
            over.recv_timeout(PAUSE).ok()
        });
        came_back.expect("a signal ends it").expect("it is no error");
        waiting.join().expect("the thread is well").expect("its answer was awaited");
    }
}
