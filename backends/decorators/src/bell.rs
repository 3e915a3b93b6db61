//! What a decorator sleeps on when it is not the source within that has to come up with something.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Remembers being rung until the next sleep.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    /// Sleeps until it is rung, or `left` says that there is no time left.
    pub(crate) fn sleep(&self, left: impl Fn() -> Duration) {
        let mut rung = self.lock();
        while !*rung {
            let left = left();
            if left.is_zero() {
                break;
            }
            rung = self.ringing.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.lock() = true;
        self.ringing.notify_all();
    }
}

/// Wakes a decorator wherever it sleeps: on its own bell or in the source within.
pub(crate) struct Both {
    pub(crate) own: Arc<Bell>,
    pub(crate) inner: Waker,
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.own.wake_by_ref();
        self.inner.wake_by_ref();
    }
}

/// The time from `now` to `until`.
pub(crate) fn left(until: Instant, now: Instant) -> Duration {
    until.saturating_duration_since(now)
}
