//! A level-triggered line that records, and fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netrx::{IrqError, LevelLine};

/// A level line that a [`LevelProbe`] sees.
#[derive(Debug)]
pub struct MockLevel {
    shared: Arc<Shared>,
}

/// The guest's end of a [`MockLevel`].
#[derive(Clone, Debug)]
pub struct LevelProbe {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    high: bool,
    rises: u64,
    sets: u64,
    faults: VecDeque<IrqError>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MockLevel {
    /// A low line and its probe.
    #[must_use]
    pub fn new() -> (Self, LevelProbe) {
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared) }, LevelProbe { shared })
    }
}

impl LevelLine for MockLevel {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        let mut state = self.shared.lock();
        if let Some(fault) = state.faults.pop_front() {
            return Err(fault);
        }
        state.sets += 1;
        state.rises += u64::from(high && !state.high);
        state.high = high;
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl LevelProbe {
    /// Whether the line is high.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.shared.lock().high
    }

    /// How often it rose.
    #[must_use]
    pub fn rises(&self) -> u64 {
        self.shared.lock().rises
    }

    /// How often it was set, to whichever level.
    #[must_use]
    pub fn sets(&self) -> u64 {
        self.shared.lock().sets
    }

    /// Lets the next calls fail, one for each fault.
    pub fn fail(&self, faults: impl IntoIterator<Item = IrqError>) {
        self.shared.lock().faults.extend(faults);
    }

    /// Sleeps until the line is high, at most for `at_most`; returns whether it is.
    #[must_use]
    pub fn wait_high(&self, at_most: Duration) -> bool {
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), at_most, |state| !state.high);
        waited.unwrap_or_else(PoisonError::into_inner).0.high
    }
}
