//! What a source sleeps on that has nothing of the system's to sleep on.

use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::{Watch, Watched};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// A flag that wakes set and a wait clears: what a [`FrameSource`] without a descriptor needs for methods of the same names.
///
/// Whoever brings the source a frame puts it where [`recv`] finds it, and wakes the waker afterwards. So a frame that comes
/// after a `recv` found none ends the wait that follows.
///
/// * **Threads**: its wakers are woken from any, even after it is gone. One thread at a time waits.
/// * **Blocking**: only [`wait`](Self::wait) sleeps.
/// * **Errors**: it has none.
///
/// [`FrameSource`]: super::FrameSource
/// [`recv`]: super::FrameSource::recv
#[derive(Debug, Default)]
pub struct WakeFlag(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    woken: bool,
    /// Whoever sleeps elsewhere and wants to hear of it.
    watcher: Option<Waker>,
}

impl WakeFlag {
    /// Sleeps until it is woken or `until` has passed, and forgets all wakes until then. One since the last wait ends it at once.
    pub fn wait(&self, until: Option<Instant>) {
        let changed = &self.0.changed;
        let mut state = self.0.lock();
        while !state.woken {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.woken = false;
    }

    /// Names what ends a [`wait`](Self::wait), and holds until the next wake; does not clear the flag.
    pub fn watch(&self, watch: &mut Watch<'_>) -> Watched {
        let mut state = self.0.lock();
        if state.woken {
            watch.ready();
        }
        state.watcher = Some(watch.waker().clone());
        Watched::Yes
    }

    /// A handle that ends a [`wait`](Self::wait), the current one or, if there is none, the next.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        state.woken = true;
        let watcher = state.watcher.take();
        drop(state);
        self.changed.notify_one();
        watcher.into_iter().for_each(Waker::wake);
    }
}
