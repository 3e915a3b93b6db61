//! Waiting by kqueue. The same code runs on macOS, on the BSDs, and on Linux with libkqueue.

#![allow(unsafe_code, reason = "kqueue and kevent")]

#[cfg(libkqueue)]
pub(crate) use super::libkqueue::{EventFilter, EventFlag, FilterFlag, kevent};
#[cfg(libkqueue)]
use super::libkqueue::{EventListSize, kqueue};
#[cfg(kqueue_sys)]
pub(crate) use kqueue_sys::{EventFilter, EventFlag, FilterFlag, kevent};
#[cfg(kqueue_sys)]
use kqueue_sys::{EventListSize, kqueue};

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, timespec};

use super::{Change, EVENTS};
use crate::{Event, Trigger};

/// What the system calls a kqueue.
#[derive(Debug)]
pub(crate) struct Queue {
    kqueue: OwnedFd,
    /// How descriptors are added.
    add: EventFlag,
}

impl Queue {
    pub(crate) fn new(trigger: Trigger) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = count(unsafe { kqueue() })?;
        // SAFETY: the system has just made it, for us alone.
        let kqueue = unsafe { OwnedFd::from_raw_fd(fd) };
        let add = match trigger {
            Trigger::Level => EventFlag::EV_ADD,
            Trigger::Edge => EventFlag::EV_ADD | EventFlag::EV_CLEAR,
        };
        Ok(Self { kqueue, add })
    }

    pub(crate) fn change(&self, fd: BorrowedFd<'_>, name: u32, change: Change) -> io::Result<()> {
        let flags = match change {
            Change::Watch => self.add,
            Change::Hush => EventFlag::EV_DISABLE,
            // To add it once more would not do: of macOS, FreeBSD and OpenBSD none enables what is there by that.
            Change::Listen => EventFlag::EV_ENABLE,
            Change::Forget => EventFlag::EV_DELETE,
        };
        let mut change = readable(fd.as_raw_fd(), flags);
        // A number that is carried along, never an address, which it looks like on most systems.
        change.udata = name as usize as _;
        self.submit(&change)
    }

    pub(crate) fn submit(&self, change: &kevent) -> io::Result<()> {
        let (none, no_time) = (ptr::null_mut(), ptr::null());
        // SAFETY: one change, borrowed; without room for events the call does not sleep, and returns errors as such.
        count(unsafe { kevent(self.kqueue.as_raw_fd(), change, 1, none, 0, no_time) }).map(drop)
    }

    /// Sleeps until there are events or a signal, but no longer than `at_most`; hands over what there is, each event with
    /// the number it was added by: a descriptor's, unless it is one of the user's own.
    pub(crate) fn collect(
        &self,
        at_most: Option<Duration>,
        mut each: impl FnMut(RawFd, Event),
    ) -> io::Result<()> {
        let mut events = [readable(0, EventFlag::empty()); EVENTS];
        let at_most = at_most.map(time);
        let timeout = at_most.as_ref().map_or(ptr::null(), ptr::from_ref);
        let room = EVENTS as EventListSize;
        // SAFETY: the events are borrowed, and as many as is said; so is the timeout, if there is one.
        let told =
            unsafe { kevent(self.kqueue.as_raw_fd(), ptr::null(), 0, events.as_mut_ptr(), room, timeout) };
        let told = match count(told) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            told => told?,
        };
        for event in events.into_iter().take(told as usize) {
            let (name, ended) = (event.udata as usize as u32, event.flags.contains(EventFlag::EV_EOF));
            // Of urgent bytes nothing is said.
            each(event.ident as RawFd, Event { name, ended, reads_short: true });
        }
        Ok(())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

/// That a descriptor is readable, as an event or as a change to it.
fn readable(fd: RawFd, flags: EventFlag) -> kevent {
    kevent::new(fd as usize, EventFilter::EVFILT_READ, flags, FilterFlag::empty())
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
