//! The device's interrupts: a status register, and a level line that follows it.
//!
//! Nobody waits for anybody: a vCPU acknowledges while the worker raises. Who sets the first bit or clears the last sets the
//! line, looks at the register again, and sets the line once more if that has changed meanwhile. So the one whose call of
//! the line is the last has seen the register as it stays, and however raising and acknowledging mix, the line ends high if
//! a bit is set and low if none is. A raise that comes late may find the guest without a reason, and is then taken back.
//!
//! A call may fail, and whoever made it is told. So nobody relies on a call of somebody else's that has not returned: whoever
//! finds the bit set already, but another [`Change`] still under way, sets the line as well, as that one may yet fail. What
//! failed is set right by the next change.

use std::fmt;
use std::sync::Arc;

use crate::irq::{IrqError, IrqLine, LevelLine, insist};
use crate::spec::mmio::{interrupt, status};
use crate::sync::{AtomicU32, Ordering, fence};

/// The interrupts of one device, shared by its clones: as the worker's line, and for whoever serves the transmit queue.
pub struct MmioIrq<L> {
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    /// `InterruptStatus`.
    status: AtomicU32,
    /// `DEVICE_NEEDS_RESET`, or 0.
    needs_reset: AtomicU32,
    /// How many changes are under way, and [`UNSURE`]. One word, so that nobody finds the one without the other.
    changes: AtomicU32,
    line: L,
}

/// The line may not be as the register says: a call failed, or none was made yet.
const UNSURE: u32 = 1 << 31;

/// A change of the register, and the calls of the line that it takes.
struct Change<'s, L> {
    shared: &'s Shared<L>,
    settled: bool,
}

impl<'s, L: LevelLine> Change<'s, L> {
    /// To be made before the register is changed: who finds that changed finds that somebody is at it.
    fn begin(shared: &'s Shared<L>) -> Self {
        shared.changes.fetch_add(1, Ordering::AcqRel);
        Self { shared, settled: false }
    }

    /// Sets the line as the register says, if that has `changed`, or the line is or may come to be otherwise.
    fn end(mut self, changed: bool) -> Result<(), IrqError> {
        let changes = self.shared.changes.fetch_and(!UNSURE, Ordering::AcqRel);
        // Only this one is under way, and the line is right.
        let needs_nothing = changes == 1 && !changed;
        if !needs_nothing {
            self.settle()?;
        }
        self.settled = true;
        Ok(())
    }

    /// Sets the line until it is as the register says.
    ///
    /// One barrier stands between the change of the register and the call of the line, one between the call and the second
    /// look: of two who change the register, the one whose call is the later sees the other's change.
    fn settle(&self) -> Result<(), IrqError> {
        let Shared { status, line, .. } = self.shared;
        fence(Ordering::SeqCst);
        let mut high = status.load(Ordering::Acquire) != 0;
        line.set(high)?;
        loop {
            fence(Ordering::SeqCst);
            if high == (status.load(Ordering::Acquire) != 0) {
                return Ok(());
            }
            high = !high;
            // Who changed the register meanwhile was told that the line is set.
            insist(|| line.set(high))?;
        }
    }
}

impl<L> Drop for Change<'_, L> {
    /// Also where the line failed or panicked.
    fn drop(&mut self) {
        if !self.settled {
            self.shared.changes.fetch_or(UNSURE, Ordering::AcqRel);
        }
        self.shared.changes.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<L> Clone for MmioIrq<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L: LevelLine> MmioIrq<L> {
    pub(super) fn new(line: L) -> Self {
        let shared = Shared {
            status: AtomicU32::new(0),
            needs_reset: AtomicU32::new(0),
            changes: AtomicU32::new(UNSURE),
            line,
        };
        Self { shared: Arc::new(shared) }
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
        let change = Change::begin(&self.shared);
        let before = self.shared.status.fetch_or(why, Ordering::AcqRel);
        change.end(before == 0 && why != 0)
    }

    /// The guest has taken note of these reasons.
    pub(super) fn acknowledge(&self, why: u32) -> Result<(), IrqError> {
        let change = Change::begin(&self.shared);
        let before = self.shared.status.fetch_and(!why, Ordering::AcqRel);
        change.end(before != 0 && before & !why == 0)
    }

    /// The device is reset: there is no reason any more. Nobody may raise meanwhile.
    pub(super) fn clear(&self) -> Result<(), IrqError> {
        self.shared.needs_reset.store(0, Ordering::Release);
        self.acknowledge(u32::MAX)
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
