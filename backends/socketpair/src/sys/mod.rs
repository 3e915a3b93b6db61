//! What is asked of the operating system: the only files of this crate with `unsafe` code.

#![allow(unsafe_code, reason = "takes charge of descriptors")]

pub(crate) mod options;

mod message;
mod peek;
#[cfg(recvmmsg)]
mod recvmmsg;
#[cfg(any(not(recvmmsg), test))]
mod recvmsg;

#[cfg(epoll)]
mod epoll;
#[cfg(kqueue)]
mod kqueue;
#[cfg(libkqueue)]
mod libkqueue;

#[cfg(epoll)]
pub(crate) use epoll::Readiness;
#[cfg(kqueue)]
pub(crate) use kqueue::Readiness;

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use libc::c_int;
use netrx::space::Lent;

use crate::calls::{Batch, Calls, Message};

#[cfg(recvmmsg)]
use recvmmsg::receive;
#[cfg(not(recvmmsg))]
use recvmsg::receive;

#[cfg(target_os = "linux")]
use peek::ask as peek_length;
#[cfg(not(target_os = "linux"))]
use peek::copy as peek_length;

/// What ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Nothing will come any more, beside what is queued.
    pub(crate) hung_up: bool,
}

/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The time from now to `until`, as the system wants it.
fn time_left(until: Instant) -> libc::timespec {
    let left = until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP);
    // Neither is cut: a day has few seconds, and a second less than 2^30 nanoseconds.
    libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: (left.subsec_nanos() as i32).into() }
}

/// A count of events; a signal is a reason to return like the others.
fn interrupted_is_zero(count: c_int) -> io::Result<usize> {
    usize::try_from(count).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}

/// Takes charge of a descriptor that a call has just returned.
fn owned(fd: c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The best calls that this system has.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// Where frames are looked at; not used where the system tells a length by itself.
    scratch: Vec<u8>,
}

impl Calls for System {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        receive(socket, lent, messages)
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        peek_length(socket, largest, &mut self.scratch)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        peek::skip(socket)
    }
}

/// The calls that every system has, to be tested on those that have better ones.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Portable {
    scratch: Vec<u8>,
}

#[cfg(test)]
impl Calls for Portable {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        recvmsg::receive(socket, lent, messages)
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        peek::copy(socket, largest, &mut self.scratch)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        peek::skip(socket)
    }
}
