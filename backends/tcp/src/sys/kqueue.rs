//! Waiting with kqueue: for streams, told of once each time they get bytes, and for wakers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Waker;
use std::time::Instant;

use netrx_poller::{Poller, Trigger};

use super::Event;

/// Waits for streams or a waker. Streams are edge-triggered: the bytes that are in flight stay queued and would
/// otherwise be told of for ever.
#[derive(Debug)]
pub(crate) struct Readiness(Poller);

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        Poller::new(Trigger::Edge).map(Self)
    }

    pub(crate) fn waker(&self) -> Waker {
        self.0.waker()
    }

    /// Has news of a stream collected under `name`, the first at once if it has bytes.
    pub(crate) fn watch(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.0.watch(stream, name)
    }

    /// Leaves a watched stream alone.
    pub(crate) fn hush(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.0.hush(stream, name)
    }

    /// Takes interest in it again: news at once if it has bytes.
    pub(crate) fn listen(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.0.listen(stream, name)
    }

    /// Forgets a stream, which others may hold for longer than we do.
    pub(crate) fn forget(&self, stream: BorrowedFd<'_>) -> io::Result<()> {
        self.0.forget(stream)
    }

    /// Hands over the news there are, as many as one call collects; does not sleep.
    pub(crate) fn collect(&self, mut each: impl FnMut(Event)) -> io::Result<()> {
        self.0.collect(|event| each(news(event)))
    }

    /// Sleeps until there are news, the waker was woken, a signal came, or `until`; hands the news over.
    pub(crate) fn wait(&self, until: Option<Instant>, mut each: impl FnMut(Event)) -> io::Result<()> {
        self.0.wait(until, |event| each(news(event)))
    }
}

/// Of urgent bytes nothing is said.
fn news(event: netrx_poller::Event) -> Event {
    Event { name: event.name, reads_short: true }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
