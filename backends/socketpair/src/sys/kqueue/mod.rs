//! Waiting with kqueue: for the socket, and for a bell that the waker rings.
//!
//! The same code runs on macOS, on the BSDs, and on Linux with libkqueue.

#![allow(unsafe_code, reason = "kqueue and kevent")]

#[cfg(any(not(user_events), test))]
mod pair_bell;
#[cfg(user_events)]
mod user_bell;

#[cfg(not(user_events))]
use pair_bell::Bell;
#[cfg(user_events)]
use user_bell::Bell;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::task::Waker;
use std::time::Instant;

#[cfg(kqueue_sys)]
use kqueue_sys::{EventFilter, EventFlag, EventListSize, FilterFlag, kevent, kqueue};

#[cfg(libkqueue)]
use super::libkqueue::{EventFilter, EventFlag, EventListSize, FilterFlag, kevent, kqueue};
use super::{Ready, interrupted_is_zero, owned, time_left};

/// Waits for a socket or a waker.
///
/// The socket's event is level-triggered. The bell is what differs between systems.
#[derive(Debug)]
pub(crate) struct Readiness {
    socket: RawFd,
    bell: Bell,
}

impl Readiness {
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let bell = Bell::new(Queue::new()?)?;
        bell.queue().watch(socket.as_raw_fd())?;
        Ok(Self { socket: socket.as_raw_fd(), bell })
    }

    /// Readable while a wait would end at once.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.queue().0.as_fd()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.bell.waker()
    }

    /// Sleeps until the socket is readable or hung up, the waker was woken, a signal came, or `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Ready> {
        let mut events =
            [kevent::new(0, EventFilter::EVFILT_READ, EventFlag::empty(), FilterFlag::empty()); 2];
        let count = self.bell.queue().collect(&mut events, until)?;
        let mut ready = Ready::default();
        for event in events.iter().take(count) {
            if self.bell.is_rung_by(event) {
                self.bell.silence();
            } else {
                ready.hung_up = event.flags.contains(EventFlag::EV_EOF);
            }
        }
        Ok(ready)
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // A waker may keep the queue for longer than there is a socket; it fails only if that was closed before.
        let _ = self.bell.queue().forget(self.socket);
    }
}

/// A kernel queue.
#[derive(Debug)]
struct Queue(OwnedFd);

impl Queue {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        owned(unsafe { kqueue() }).map(Self)
    }

    fn watch(&self, fd: RawFd) -> io::Result<()> {
        self.change(kevent::new(
            fd as usize,
            EventFilter::EVFILT_READ,
            EventFlag::EV_ADD,
            FilterFlag::empty(),
        ))
    }

    fn forget(&self, fd: RawFd) -> io::Result<()> {
        self.change(kevent::new(
            fd as usize,
            EventFilter::EVFILT_READ,
            EventFlag::EV_DELETE,
            FilterFlag::empty(),
        ))
    }

    fn change(&self, change: kevent) -> io::Result<()> {
        // SAFETY: one change, borrowed; without room for events the call does not sleep, and returns errors as such.
        let changed =
            unsafe { kevent(self.0.as_raw_fd(), &raw const change, 1, ptr::null_mut(), 0, ptr::null()) };
        if changed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn collect(&self, events: &mut [kevent], until: Option<Instant>) -> io::Result<usize> {
        let left = until.map(time_left);
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        let room = events.len() as EventListSize;
        // SAFETY: the events are borrowed, and as many as is said; so is the timeout, if there is one.
        let count = unsafe { kevent(self.0.as_raw_fd(), ptr::null(), 0, events.as_mut_ptr(), room, timeout) };
        interrupted_is_zero(count)
    }
}

#[cfg(test)]
mod tests;
