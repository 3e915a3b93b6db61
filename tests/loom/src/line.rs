//! What a side sleeps on: the guest on its interrupt, a caller of the engine on the guest's kick.

use std::sync::{Arc, PoisonError};

use loom::sync::{Condvar, Mutex};
use netrx::{IrqError, IrqLine};

/// Something that rings, and can be slept on; a ring that nobody waited for ends the next sleep.
#[derive(Clone, Default)]
pub struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// Ends the sleep, this one or the next.
    pub fn ring(&self) {
        let (rung, changed) = &*self.0;
        *lock(rung) = true;
        changed.notify_one();
    }

    /// Sleeps until it rings.
    pub fn sleep(&self) {
        let (rung, changed) = &*self.0;
        let mut rung = lock(rung);
        while !*rung {
            rung = changed.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An edge-triggered interrupt line, on which the guest sleeps.
#[derive(Clone, Default)]
pub struct Line(Bell);

impl Line {
    /// The guest sleeps until it is interrupted.
    pub fn sleep(&self) {
        self.0.sleep();
    }
}

impl IrqLine for Line {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.0.ring();
        Ok(())
    }
}
