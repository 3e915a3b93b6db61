//! What a worker sleeps on while the guest has no room.
//!
//! A ring before or during the sleep ends it, and none is lost: the flag is set before the sleeper is looked for, and
//! the sleeper says that it sleeps before it looks at the flag. A ring while the worker is busy costs one atomic
//! instruction, no lock and no system call.

use std::sync::{Arc, PoisonError};
use std::task::Wake;

use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, thread};

const KICKED: u32 = 1;
const STOPPED: u32 = 2;
const CALLED: u32 = 4;
const SLEEPING: u32 = 8;

/// What a worker woke for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awake {
    /// Its source has something to do; the guest is not known to have room.
    ForSource,
    /// The guest may have room, or the worker is to end.
    ForAll,
}

/// The bell of a slot's workers, of which there is one at a time: the guest's kicks, the VMM's stop, and the calls of a source
/// that has something to do while the guest has no room. Any other thread that serves a queue has one of its own.
#[derive(Debug)]
pub(crate) struct Bell {
    state: AtomicU32,
    /// The worker's thread. Only locked as a worker starts, and to wake one that sleeps, so that kickers wait for each other
    /// at most.
    thread: Mutex<Option<thread::Thread>>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(0), thread: Mutex::new(None) }
    }

    /// A new worker is about to look at the ring: whatever was rung for the one before is over.
    pub(crate) fn renew(&self) {
        self.state.swap(0, Ordering::AcqRel);
    }

    /// The guest made chains available. From any thread; never blocks.
    pub(crate) fn kick(&self) {
        self.ring(KICKED);
    }

    /// The worker is to end. From any thread; never blocks.
    pub(crate) fn stop(&self) {
        self.ring(STOPPED);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & STOPPED != 0
    }

    /// The calling thread is the worker from now on.
    pub(crate) fn attach(&self) {
        *self.thread() = Some(thread::current());
    }

    /// Sleeps until kicked or stopped, or called by the source, and says whether it was the source alone. Only ever called
    /// by the worker.
    pub(crate) fn sleep(&self) -> Awake {
        self.state.fetch_or(SLEEPING, Ordering::AcqRel);
        while self.state.load(Ordering::Acquire) & (KICKED | STOPPED | CALLED) == 0 {
            thread::park();
        }
        let why = self.state.fetch_and(!(SLEEPING | KICKED | CALLED), Ordering::AcqRel);
        if why & (KICKED | STOPPED) == 0 { Awake::ForSource } else { Awake::ForAll }
    }

    fn ring(&self, why: u32) {
        let before = self.state.fetch_or(why, Ordering::AcqRel);
        if before & SLEEPING != 0
            && let Some(thread) = &*self.thread()
        {
            thread.unpark();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<thread::Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a source that has something to do while the guest has no room.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring(CALLED);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring(CALLED);
    }
}
