//! Waiting with kqueue: for the socket, and for the waker.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::Waker;
use std::time::Instant;

use netrx_poller::{Poller, Trigger};

use super::Ready;

/// Only the socket has a name.
const SOCKET: u32 = 0;

/// Waits for a socket or a waker. The socket's event is level-triggered.
#[derive(Debug)]
pub(crate) struct Readiness {
    queue: Poller,
    socket: RawFd,
}

impl Readiness {
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let queue = Poller::new()?;
        queue.watch(socket, SOCKET, Trigger::Level)?;
        Ok(Self { queue, socket: socket.as_raw_fd() })
    }

    /// Readable while a wait would end at once.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.queue.waker()
    }

    /// Sleeps until the socket is readable or hung up, the waker was woken, a signal came, or `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Ready> {
        let mut ready = Ready::default();
        self.queue.wait(until, |event| ready.hung_up = event.ended)?;
        Ok(ready)
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // A waker may keep the queue for longer than there is a socket; it fails only if that was closed before.
        let _ = self.queue.forget(self.socket);
    }
}
