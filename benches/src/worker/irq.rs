//! The interrupt line of the worker benches: counts, notes the time, and wakes the guest's thread.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Instant;

/// An interrupt line that remembers.
#[derive(Default)]
pub(crate) struct IrqProbe {
    epoch: OnceLock<Instant>,
    count: AtomicU64,
    last: AtomicU64,
    guest: OnceLock<Thread>,
}

impl IrqProbe {
    /// What the subjects call to interrupt the guest.
    pub(crate) fn raise(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
        if let Some(guest) = self.guest.get() {
            guest.unpark();
        }
    }

    /// Nanoseconds on this line's clock.
    pub(super) fn now(&self) -> u64 {
        self.epoch.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    /// Interrupts so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// When the last one came, on this line's clock.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// The thread to unpark at every interrupt.
    pub(crate) fn wakes(&self, guest: Thread) {
        self.guest.get_or_init(|| guest);
    }
}
