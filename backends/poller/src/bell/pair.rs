//! The waker's bell, as a pair of sockets, for systems whose kqueue knows no events of the user's own, or only lately.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sys::{Change, Queue};

/// A pair of which the queue watches one end. It remembers being rung until it is read.
#[derive(Debug)]
pub(crate) struct Bell {
    near: UnixStream,
    rope: Arc<Rope>,
}

/// What wakers pull.
#[derive(Debug)]
struct Rope(UnixStream);

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails when the pair is full, and then it was rung already, or when nobody will ever wait again.
        let _ = (&self.0).write(&[0]);
    }
}

impl Bell {
    pub(crate) fn new(queue: &Queue) -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        queue.change(near.as_fd(), 0, Change::Watch)?;
        Ok(Self { near, rope: Arc::new(Rope(far)) })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.rope))
    }

    /// The number that its events come with.
    pub(crate) fn number(&self) -> RawFd {
        self.near.as_raw_fd()
    }

    pub(crate) fn silence(&self) {
        let mut rung = [0; 64];
        // A short read means that it is silent; so does an error, as there is nothing to be read.
        while matches!((&self.near).read(&mut rung), Ok(read) if read == rung.len()) {}
    }
}
