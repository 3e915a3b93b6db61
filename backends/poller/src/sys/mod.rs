//! What is asked of kqueue: the only files of this crate with `unsafe` code.
//!
//! The same code runs on macOS, on the BSDs, and on Linux with libkqueue.

#![allow(unsafe_code, reason = "kqueue and kevent")]

#[cfg(libkqueue)]
mod libkqueue;

#[cfg(kqueue_sys)]
pub(crate) use kqueue_sys::{EventFilter, EventFlag, FilterFlag, kevent};
#[cfg(kqueue_sys)]
use kqueue_sys::{EventListSize, kqueue};

#[cfg(libkqueue)]
pub(crate) use libkqueue::{EventFilter, EventFlag, FilterFlag, kevent};
#[cfg(libkqueue)]
use libkqueue::{EventListSize, kqueue};

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, timespec};

/// That a descriptor is readable, as an event or as a change to it.
pub(crate) fn readable(fd: RawFd, name: u32, flags: EventFlag) -> kevent {
    let mut event = kevent::new(fd as usize, EventFilter::EVFILT_READ, flags, FilterFlag::empty());
    // A number that is carried along, never an address, which it looks like on most systems.
    event.udata = name as usize as _;
    event
}

/// The name that an event carries.
pub(crate) fn name(event: &kevent) -> u32 {
    event.udata as usize as u32
}

/// What the system calls a kqueue.
#[derive(Debug)]
pub(crate) struct Kqueue(OwnedFd);

impl Kqueue {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = count(unsafe { kqueue() })?;
        // SAFETY: the system has just made it, for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn change(&self, change: &kevent) -> io::Result<()> {
        let (none, no_time) = (ptr::null_mut(), ptr::null());
        // SAFETY: one change, borrowed; without room for events the call does not sleep, and returns errors as such.
        count(unsafe { kevent(self.0.as_raw_fd(), change, 1, none, 0, no_time) }).map(drop)
    }

    /// Sleeps until there are events, which it puts into `events`, but no longer than `at_most`; how many there were. A
    /// signal is a reason to return like the others.
    pub(crate) fn collect(&self, events: &mut [kevent], at_most: Option<Duration>) -> io::Result<usize> {
        let at_most = at_most.map(time);
        let timeout = at_most.as_ref().map_or(ptr::null(), ptr::from_ref);
        let room = events.len() as EventListSize;
        // SAFETY: the events are borrowed, and as many as is said; so is the timeout, if there is one.
        match count(unsafe { kevent(self.0.as_raw_fd(), ptr::null(), 0, events.as_mut_ptr(), room, timeout) })
        {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A time as the system wants it.
fn time(left: Duration) -> timespec {
    // Neither is cut: sleeps are of a day at most, and a second has less than 2^30 nanoseconds.
    timespec { tv_sec: left.as_secs() as _, tv_nsec: (left.subsec_nanos() as i32).into() }
}

/// What a call answers that gives a number, or -1.
fn count(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
