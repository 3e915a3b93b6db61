//! Waiting with kqueue: for the socket, and for the waker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Waker;
use std::time::Instant;

use netrx_poller::{Poller, Trigger};

use super::Ready;

/// Only the socket has a name.
const SOCKET: u32 = 0;

/// Waits for a socket or a waker. The socket's event is level-triggered.
#[derive(Debug)]
pub(crate) struct Readiness(Poller);

impl Readiness {
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let poller = Poller::new(Trigger::Level)?;
        poller.watch(socket, SOCKET)?;
        Ok(Self(poller))
    }

    /// Readable while a wait would end at once.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.0.waker()
    }

    /// Sleeps until the socket is readable or hung up, the waker was woken, a signal came, or `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Ready> {
        let mut ready = Ready::default();
        self.0.wait(until, |event| ready.hung_up = event.ended)?;
        Ok(ready)
    }
}
