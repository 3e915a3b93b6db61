//! A queue of the system's and its bell, as sources use them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::sys::{Change, Queue};

/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// When a poller tells of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As long as it is readable.
    Level,
    /// Each time that more has come, which includes its end.
    Edge,
}

/// A descriptor that is readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name it is watched under.
    pub name: u32,
    /// Nothing will come any more, beside what is queued. libkqueue says so of streams that are empty, too.
    pub ended: bool,
    /// Reads may come short though more is queued: before an urgent byte, an error or the end. kqueue does not tell of
    /// urgent bytes, so there they always may.
    pub reads_short: bool,
}

/// Waits for descriptors or a waker.
///
/// It borrows no descriptor: as long as it is waited by, one is to be [forgotten](Self::forget) before it is closed. What
/// a dropped one watched is forgotten, even while there are wakers.
#[derive(Debug)]
pub struct Poller {
    queue: Arc<Queue>,
    bell: Bell,
}

impl Poller {
    /// A poller that tells of what it will watch by `trigger`.
    ///
    /// # Errors
    /// When the system has no descriptors to spare: it takes up to three.
    pub fn new(trigger: Trigger) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(trigger)?);
        let bell = Bell::new(&queue)?;
        Ok(Self { queue, bell })
    }

    /// Ends a wait, or the next one. It may outlive the poller.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.bell.waker()
    }

    /// Has a descriptor told of under `name`, the first time at once if it is readable.
    ///
    /// # Errors
    /// When the system has no memory to spare, or does not watch such a descriptor.
    pub fn watch(&self, fd: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.queue.change(fd, name, Change::Watch)
    }

    /// Leaves a watched descriptor alone, as far as the system can.
    ///
    /// # Errors
    /// When it is not watched.
    pub fn hush(&self, fd: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.queue.change(fd, name, Change::Hush)
    }

    /// Takes interest in it again: it is told of at once if it is readable.
    ///
    /// # Errors
    /// When it is not watched.
    pub fn listen(&self, fd: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.queue.change(fd, name, Change::Listen)
    }

    /// Forgets a descriptor, which others may hold for longer than we do.
    ///
    /// # Errors
    /// When it is not watched.
    pub fn forget(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.queue.change(fd, 0, Change::Forget)
    }

    /// Hands over what there is to tell of, up to 64 events; does not sleep.
    ///
    /// # Errors
    /// When the system has no memory to spare.
    pub fn collect(&self, each: impl FnMut(Event)) -> io::Result<()> {
        self.take(Some(Duration::ZERO), each)
    }

    /// Sleeps until there is something to tell of, the waker was woken, a signal came, or `until`; hands over what there
    /// is, up to 64 events.
    ///
    /// # Errors
    /// When the system has no memory to spare.
    pub fn wait(&self, until: Option<Instant>, each: impl FnMut(Event)) -> io::Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP));
        self.take(left, each)
    }

    fn take(&self, at_most: Option<Duration>, mut each: impl FnMut(Event)) -> io::Result<()> {
        self.queue.collect(at_most, |number, event| {
            if number == self.bell.number() {
                self.bell.silence();
            } else {
                each(event);
            }
        })
    }
}

/// The descriptor is readable while a wait would end at once, to be waited for together with others; libkqueue's never is.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

#[cfg(test)]
mod tests;
