//! A level line that loses calls and says that all is well: no device may have it, and a test that has to notice must.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netrx::{IrqError, LevelLine};
use netrx_mock::MockLevel;

/// A line that rises only while nothing is lost.
pub(crate) struct Lossy {
    line: MockLevel,
    loss: Loss,
}

/// Whether rises are lost. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Loss(Arc<Mutex<bool>>);

impl Lossy {
    pub(crate) fn new(line: MockLevel, loss: &Loss) -> Self {
        Self { line, loss: loss.clone() }
    }
}

impl Loss {
    /// From now on every rise is lost; none is still on its way.
    pub(crate) fn begin(&self) {
        *self.lock() = true;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LevelLine for Lossy {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        let lost = self.loss.lock();
        if high && *lost { Ok(()) } else { self.line.set(high) }
    }
}
