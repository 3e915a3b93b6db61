//! The waker's bell, as an eventfd, where waiting is by epoll.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use rustix::event::{EventfdFlags, eventfd};

use crate::sys::{Change, Queue};

/// A counter that the queue watches. It remembers being rung until it is read.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Counter>);

/// What wakers add to.
#[derive(Debug)]
struct Counter(File);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only when the counter is full, and then it was rung already.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}

impl Bell {
    pub(crate) fn new(queue: &Queue) -> io::Result<Self> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        queue.change(counter.as_fd(), 0, Change::Watch)?;
        Ok(Self(Arc::new(Counter(File::from(counter)))))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// The number that its events come with.
    pub(crate) fn number(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }

    pub(crate) fn silence(&self) {
        // Nothing to be read means that it is silent.
        let _ = (&self.0.0).read(&mut [0; 8]);
    }
}
