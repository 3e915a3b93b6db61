//! What a side sleeps on: the guest on its interrupt, a caller of the engine on the guest's kick.

use std::sync::{Arc, PoisonError};

use loom::sync::atomic::{AtomicU32, Ordering};
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

/// A level-triggered line with a status register, as virtio-mmio and virtio-pci INTx have it.
///
/// The pin follows the register: whoever changed the register looks at it anew and sets the pin, both under the lock.
#[derive(Clone, Default)]
pub struct LevelLine(Arc<Level>);

#[derive(Default)]
struct Level {
    status: AtomicU32,
    pin: Mutex<bool>,
    rises: Condvar,
}

/// The status bit of a used buffer.
const USED: u32 = 1;

impl Level {
    fn settle(&self) {
        let mut pin = lock(&self.pin);
        *pin = self.status.load(Ordering::Relaxed) != 0;
        if *pin {
            self.rises.notify_one();
        }
    }
}

impl LevelLine {
    /// The guest sleeps until the pin is high, then reads the register and acknowledges what it read.
    ///
    /// # Panics
    /// When the guest is interrupted without a cause: a storm, since it has nothing to acknowledge.
    pub fn sleep(&self) {
        let mut pin = lock(&self.0.pin);
        while !*pin {
            pin = self.0.rises.wait(pin).unwrap_or_else(PoisonError::into_inner);
        }
        drop(pin);
        let cause = self.0.status.load(Ordering::Relaxed);
        assert_ne!(cause, 0, "an interrupt has a cause");
        self.0.status.fetch_and(!cause, Ordering::AcqRel);
        self.0.settle();
    }

    /// Whether the pin says what the register says, and which of both.
    #[must_use]
    pub fn settled(&self) -> Option<bool> {
        let pin = *lock(&self.0.pin);
        (pin == (self.0.status.load(Ordering::Relaxed) != 0)).then_some(pin)
    }
}

impl IrqLine for LevelLine {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.0.status.fetch_or(USED, Ordering::AcqRel);
        self.0.settle();
        Ok(())
    }
}
