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
const SLEEPING: u32 = 4;

/// The bell of a slot's workers, of which there is one at a time: the guest's kicks and the VMM's stop.
#[derive(Debug)]
pub(super) struct Bell {
    state: AtomicU32,
    /// The worker's thread. Only locked as a worker starts, and to wake one that sleeps, so that kickers wait for each other
    /// at most.
    worker: Mutex<Option<thread::Thread>>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(0), worker: Mutex::new(None) }
    }

    /// A new worker is about to look at the ring: whatever was rung for the one before is over.
    pub(super) fn renew(&self) {
        self.state.swap(0, Ordering::AcqRel);
    }

    /// The guest made chains available. From any thread; never blocks.
    pub(super) fn kick(&self) {
        self.ring(KICKED);
    }

    /// The worker is to end. From any thread; never blocks.
    pub(super) fn stop(&self) {
        self.ring(STOPPED);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & STOPPED != 0
    }

    /// The calling thread is the worker from now on.
    pub(super) fn wakes_this_thread(&self) {
        *self.worker() = Some(thread::current());
    }

    /// Sleeps until kicked or stopped. Only ever called by the worker.
    pub(super) fn sleep(&self) {
        self.state.fetch_or(SLEEPING, Ordering::AcqRel);
        while self.state.load(Ordering::Acquire) & (KICKED | STOPPED) == 0 {
            thread::park();
        }
        self.state.fetch_and(!(SLEEPING | KICKED), Ordering::AcqRel);
    }

    fn ring(&self, why: u32) {
        let before = self.state.fetch_or(why, Ordering::AcqRel);
        if before & SLEEPING != 0
            && let Some(worker) = &*self.worker()
        {
            worker.unpark();
        }
    }

    fn worker(&self) -> MutexGuard<'_, Option<thread::Thread>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a source that has something to do while the worker sleeps: the worker looks at the ring again, and lets it.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.kick();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.kick();
    }
}
