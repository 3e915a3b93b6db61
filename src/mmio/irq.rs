//! The device's interrupts: a status register, and a level line that follows it.
//!
//! Whoever changes the register looks at it anew and sets the line, with the line's lock held. So the last to hold the lock
//! sees every change before it, and however raising and acknowledging mix, the line ends high if a bit is set and low if
//! none is. The lock is the line's own: it is held for one call of the consumer's line, never while the device's registers
//! are locked by somebody who waits for the worker.

use std::fmt;
use std::sync::{Arc, PoisonError};

use crate::irq::{IrqError, IrqLine, LevelLine};
use crate::spec::mmio::{interrupt, status};
use crate::sync::{AtomicU32, Mutex, Ordering};

/// The interrupts of one device, shared by its clones: as the worker's line, and for whoever serves the transmit queue.
pub struct MmioIrq<L> {
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    /// `InterruptStatus`.
    status: AtomicU32,
    /// `DEVICE_NEEDS_RESET`, or 0.
    needs_reset: AtomicU32,
    pin: Mutex<Pin<L>>,
}

struct Pin<L> {
    line: L,
    /// The level that the line was last set to, unless it never was.
    level: Option<bool>,
}

impl<L> Clone for MmioIrq<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L: LevelLine> MmioIrq<L> {
    pub(super) fn new(line: L) -> Self {
        let pin = Mutex::new(Pin { line, level: None });
        Self { shared: Arc::new(Shared { status: AtomicU32::new(0), needs_reset: AtomicU32::new(0), pin }) }
    }

    /// The device cannot go on: sets `DEVICE_NEEDS_RESET` and interrupts the guest for it (section 2.1.2).
    ///
    /// # Errors
    /// When the line fails. The bit is set all the same.
    pub fn needs_reset(&self) -> Result<(), IrqError> {
        self.shared.needs_reset.store(status::NEEDS_RESET, Ordering::Release);
        self.set(interrupt::CONFIG)
    }

    /// The bit of the device's status that says so.
    pub(super) fn reset_bit(&self) -> u32 {
        self.shared.needs_reset.load(Ordering::Acquire)
    }

    /// Why the guest is interrupted.
    pub(super) fn status(&self) -> u32 {
        self.shared.status.load(Ordering::Acquire)
    }

    /// Adds to the reasons.
    pub(super) fn set(&self, why: u32) -> Result<(), IrqError> {
        self.shared.status.fetch_or(why, Ordering::AcqRel);
        self.settle()
    }

    /// The guest has taken note of these reasons.
    pub(super) fn acknowledge(&self, why: u32) -> Result<(), IrqError> {
        self.shared.status.fetch_and(!why, Ordering::AcqRel);
        self.settle()
    }

    /// The device is reset: there is no reason any more. Nobody may raise meanwhile.
    pub(super) fn clear(&self) -> Result<(), IrqError> {
        self.shared.needs_reset.store(0, Ordering::Release);
        self.acknowledge(u32::MAX)
    }

    /// Sets the line as the register says.
    fn settle(&self) -> Result<(), IrqError> {
        let mut pin = self.shared.pin.lock().unwrap_or_else(PoisonError::into_inner);
        let high = self.status() != 0;
        if pin.level != Some(high) {
            pin.line.set(high)?;
            pin.level = Some(high);
        }
        Ok(())
    }
}

impl<L: LevelLine> IrqLine for MmioIrq<L> {
    /// Tells the guest of used buffers.
    fn raise(&mut self) -> Result<(), IrqError> {
        self.set(interrupt::USED)
    }
}

impl<L> fmt::Debug for MmioIrq<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MmioIrq").finish_non_exhaustive()
    }
}
