//! What is asked of the operating system: the only files of this crate with `unsafe` code.

#![allow(unsafe_code, reason = "takes charge of descriptors")]

pub(crate) mod peek;

#[cfg(epoll)]
mod epoll;
#[cfg(kqueue)]
mod kqueue;

#[cfg(epoll)]
pub(crate) use epoll::Readiness;
#[cfg(kqueue)]
pub(crate) use kqueue::Readiness;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::c_int;

/// Events collected by one call, at most.
pub(crate) const EVENTS: usize = 64;

/// News of a stream that is watched: it has bytes, or has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// The name it is watched under.
    pub(crate) name: u32,
    /// Reads may come short though more is queued: before an urgent byte, or before the end.
    pub(crate) reads_short: bool,
}

/// A count of events; a signal is a reason to return like the others.
fn interrupted_is_zero(count: c_int) -> io::Result<usize> {
    usize::try_from(count).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}

/// A call that answers with nothing but whether it worked.
fn done(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes charge of a descriptor that a call has just returned.
fn owned(fd: c_int) -> io::Result<OwnedFd> {
    done(fd)?;
    // SAFETY: the system has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
