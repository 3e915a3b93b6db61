//! Interrupt lines that record, and fail on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netrx::{IrqError, IrqLine};

/// An interrupt line whose interrupts an [`IrqProbe`] sees.
#[derive(Debug)]
pub struct MockIrq {
    shared: Arc<Shared>,
}

/// The guest's end of a [`MockIrq`].
#[derive(Clone, Debug)]
pub struct IrqProbe {
    shared: Arc<Shared>,
}

/// How a line fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqFault {
    /// Not now, perhaps later.
    Busy,
    /// For good.
    Broken,
    /// By a panic.
    Panic,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Debug, Default)]
struct State {
    raised: u64,
    last: Option<Instant>,
    faults: VecDeque<IrqFault>,
    nudged: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MockIrq {
    /// A line and its probe.
    #[must_use]
    pub fn new() -> (Self, IrqProbe) {
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared) }, IrqProbe { shared })
    }

    /// Another line to the guest that `probe` stands for.
    #[must_use]
    pub fn to(probe: &IrqProbe) -> Self {
        Self { shared: Arc::clone(&probe.shared) }
    }
}

impl IrqLine for MockIrq {
    fn raise(&mut self) -> Result<(), IrqError> {
        let mut state = self.shared.lock();
        match state.faults.pop_front() {
            None => {}
            Some(IrqFault::Busy) => return Err(IrqError::Busy),
            Some(IrqFault::Broken) => return Err(IrqError::Failed("the line was told to break".into())),
            Some(IrqFault::Panic) => {
                drop(state);
                std::panic::panic_any("the line was told to panic");
            }
        }
        state.raised += 1;
        state.last = Some(Instant::now());
        drop(state);
        self.shared.raised.notify_all();
        Ok(())
    }
}

impl IrqProbe {
    /// How many interrupts were raised.
    #[must_use]
    pub fn raised(&self) -> u64 {
        self.shared.lock().raised
    }

    /// When the last interrupt was raised.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        self.shared.lock().last
    }

    /// Lets the next calls fail, one for each fault.
    pub fn fail(&self, faults: impl IntoIterator<Item = IrqFault>) {
        self.shared.lock().faults.extend(faults);
    }

    /// Sleeps until more than `seen` interrupts were raised, at most for `at_most`; returns how many were.
    #[must_use]
    pub fn wait_beyond(&self, seen: u64, at_most: Duration) -> u64 {
        let state = self.shared.lock();
        let waited = self
            .shared
            .raised
            .wait_timeout_while(state, at_most, |state| state.raised <= seen && !state.nudged);
        waited.unwrap_or_else(PoisonError::into_inner).0.raised
    }

    /// Ends every wait for an interrupt, now and later, until it is [settled](Self::settle).
    pub(crate) fn nudge(&self) {
        self.shared.lock().nudged = true;
        self.shared.raised.notify_all();
    }

    /// Waits are for interrupts again.
    pub(crate) fn settle(&self) {
        self.shared.lock().nudged = false;
    }
}
