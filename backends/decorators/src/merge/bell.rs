//! What a merge sleeps on beside its sources' descriptors: a pair of sockets, one byte a ring.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use netrx::source::Watch;

/// Remembers being rung until it is [taken](Self::take). Rung again before that, it costs one atomic instruction.
#[derive(Debug)]
pub(super) struct Bell {
    rung: AtomicBool,
    near: UnixStream,
    far: UnixStream,
    /// Whoever sleeps elsewhere and wants to hear it.
    watcher: Mutex<Option<Waker>>,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self { rung: AtomicBool::new(false), near, far, watcher: Mutex::default() })
    }

    /// Whether it was rung since the last time.
    pub(super) fn take(&self) -> bool {
        // Whoever rings from here on writes again; what is read now was written for a ring that is told now.
        let rung = self.rung.swap(false, Ordering::AcqRel);
        // Nothing to be read means that whoever rings has not written yet: that ends the next sleep for no reason.
        let read = (&self.near).read(&mut [0; 16]).is_ok_and(|read| read > 0);
        rung || read
    }

    /// Is heard by whoever waits for several sources, until the next ring.
    pub(super) fn watch(&self, watch: &mut Watch<'_>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch.waker().clone());
        // After the watcher was put there: a ring finds it, or is found here.
        if self.rung.load(Ordering::Acquire) {
            watch.ready();
        }
    }

    pub(super) fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        // It fails only when it is full of rings that nobody has heard yet.
        let _ = (&self.far).write(&[0]);
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        watcher.into_iter().for_each(Waker::wake);
    }
}

impl AsFd for Bell {
    /// Readable once it was rung.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// What one source wakes: it remembers that, and rings.
#[derive(Debug)]
pub(super) struct Signal {
    woken: AtomicBool,
    bell: Arc<Bell>,
}

impl Signal {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { woken: AtomicBool::new(false), bell }
    }

    /// Whether it was woken since the last time.
    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.bell.ring();
    }
}
