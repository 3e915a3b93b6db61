//! The device's interrupts: a status register, and a level line that follows it.
//!
//! Nobody waits for anybody: a vCPU acknowledges while the worker raises. Who sets the first bit or clears the last sets the
//! line, looks at the register again, and sets the line once more if that has changed meanwhile. So the one whose call of
//! the line is the last has seen the register as it stays, and however raising and acknowledging mix, the line ends high if
//! a bit is set and low if none is. A raise that comes late may find the guest without a reason, and is then taken back.

use std::fmt;
use std::sync::Arc;

use crate::irq::{IrqError, IrqLine, LevelLine};
use crate::spec::mmio::{interrupt, status};
use crate::sync::{AtomicBool, AtomicU32, Ordering, fence, thread};

/// How often a line that is busy is set right again after a change by others, who were told that it is set.
const TRIES: u32 = 100;

/// The interrupts of one device, shared by its clones: as the worker's line, and for whoever serves the transmit queue.
pub struct MmioIrq<L> {
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    /// `InterruptStatus`.
    status: AtomicU32,
    /// `DEVICE_NEEDS_RESET`, or 0.
    needs_reset: AtomicU32,
    /// The line may not be as the register says: a call failed, or none was made yet.
    unsure: AtomicBool,
    line: L,
}

impl<L> Clone for MmioIrq<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L: LevelLine> MmioIrq<L> {
    pub(super) fn new(line: L) -> Self {
        let (status, needs_reset) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { shared: Arc::new(Shared { status, needs_reset, unsure: AtomicBool::new(true), line }) }
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
        let before = self.shared.status.fetch_or(why, Ordering::AcqRel);
        self.follow(before == 0 && why != 0)
    }

    /// The guest has taken note of these reasons.
    pub(super) fn acknowledge(&self, why: u32) -> Result<(), IrqError> {
        let before = self.shared.status.fetch_and(!why, Ordering::AcqRel);
        self.follow(before != 0 && before & !why == 0)
    }

    /// The device is reset: there is no reason any more. Nobody may raise meanwhile.
    pub(super) fn clear(&self) -> Result<(), IrqError> {
        self.shared.needs_reset.store(0, Ordering::Release);
        self.acknowledge(u32::MAX)
    }

    /// Sets the line as the register says, if that has `changed` or the line may be otherwise.
    fn follow(&self, changed: bool) -> Result<(), IrqError> {
        if !self.shared.unsure.swap(false, Ordering::AcqRel) && !changed {
            return Ok(());
        }
        let settled = self.settle();
        if settled.is_err() {
            self.shared.unsure.store(true, Ordering::Release);
        }
        settled
    }

    /// Sets the line until it is as the register says.
    ///
    /// One barrier stands between the change of the register and the call of the line, one between the call and the second
    /// look: of two who change the register, the one whose call is the later sees the other's change.
    fn settle(&self) -> Result<(), IrqError> {
        fence(Ordering::SeqCst);
        let mut high = self.status() != 0;
        self.shared.line.set(high)?;
        let mut tries = 0;
        loop {
            fence(Ordering::SeqCst);
            if high == (self.status() != 0) {
                return Ok(());
            }
            match self.shared.line.set(!high) {
                Ok(()) => high = !high,
                Err(IrqError::Busy) if tries < TRIES => {
                    tries += 1;
                    thread::yield_now();
                }
                Err(error) => return Err(error),
            }
        }
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
