//! The signal that makes `KVM_RUN` return.

#![allow(unsafe_code, reason = "asks for and sets a signal's handler, and sends it to a thread")]

use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::sync::{Mutex, PoisonError};
use std::{io, ptr};

use vmm_sys_util::signal::{SIGRTMAX, SIGRTMIN, create_sigset, register_signal_handler};

use crate::KvmError;

/// Between asking who handles a signal and setting a handler, no other thread of ours may do the same.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Does nothing: that a signal came is what ends the system call.
extern "C" fn interrupt(_signal: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {}

/// Installs the handler for a real-time signal that nobody handles, or leaves it if it is there.
pub(crate) fn install_handler(signal: c_int) -> Result<(), KvmError> {
    if !(SIGRTMIN()..=SIGRTMAX()).contains(&signal) {
        return Err(KvmError::NotRealTime(signal));
    }
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let handler = handler(signal).map_err(KvmError::io("ask who handles a signal"))?;
    if handler == interrupt as *const () as usize {
        return Ok(());
    }
    if handler != libc::SIG_DFL && handler != libc::SIG_IGN {
        return Err(KvmError::SignalTaken(signal));
    }
    register_signal_handler(signal, interrupt)
        .map_err(|cause| KvmError::Io { doing: "install the signal handler", cause: cause.into() })
}

fn handler(signal: c_int) -> io::Result<usize> {
    // SAFETY: plain data, for which zeroes are valid.
    let mut now: libc::sigaction = unsafe { zeroed() };
    // SAFETY: nothing is set, and the answer is borrowed.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), &raw mut now) };
    if asked == 0 { Ok(now.sa_sigaction) } else { Err(io::Error::last_os_error()) }
}

/// Lets the signal through to the calling thread.
pub(crate) fn unblock(signal: c_int) -> io::Result<()> {
    let set = create_sigset(&[signal])?;
    // SAFETY: the set is borrowed, and the old one is not asked for.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut()) };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// A thread of this process, by the system's number. If it is gone, sending fails or reaches another of our threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tid(pub(crate) c_int);

impl Tid {
    pub(crate) fn current() -> Self {
        // SAFETY: takes no pointer.
        Self(unsafe { libc::gettid() })
    }

    pub(crate) fn send(self, signal: c_int) -> io::Result<()> {
        // SAFETY: takes no pointer; the signal has a handler that does nothing.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, signal) };
        if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
