//! What a decorator sleeps on when it is not the source within that has to come up with something.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use netrx::source::Watch;

/// Remembers being rung until the next sleep.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    ringing: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    /// Whoever sleeps elsewhere and wants to hear it.
    watcher: Option<Waker>,
}

impl Bell {
    /// Sleeps until it is rung, or `left` says that there is no time left.
    pub(crate) fn sleep(&self, left: impl Fn() -> Duration) {
        let mut state = self.lock();
        while !state.rung {
            let left = left();
            if left.is_zero() {
                break;
            }
            state = self.ringing.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.rung = false;
    }

    /// Is heard by whoever waits for several sources, until the next ring.
    pub(crate) fn watch(&self, watch: &mut Watch<'_>) {
        let mut state = self.lock();
        if state.rung {
            watch.ready();
        }
        state.watcher = Some(watch.waker().clone());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        state.rung = true;
        let watcher = state.watcher.take();
        drop(state);
        self.ringing.notify_all();
        watcher.into_iter().for_each(Waker::wake);
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
