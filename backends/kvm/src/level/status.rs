//! The interrupt status register of a level line, and when the line is raised for it.
//!
//! The line is to be up while the status is not zero. KVM can be told to raise it but not to lower it: it lowers it by itself
//! at the guest's end of interrupt, and tells us (it resamples). So one rule has to hold:
//!
//! > while the status is not zero, the line is up, or is about to be raised, or a resample is waiting to be served.
//!
//! 1. [`set`](Status::set) raises the line only when the status was zero: else the rule holds already, and one write serves a
//!    whole burst.
//! 2. The guest acknowledges: the status is zero, and the line, still up, falls at the end of interrupt.
//! 3. If the status was set again between the two, the raise found the line up and had no effect. The resample comes
//!    after that end of interrupt, finds the status set and raises again. No interrupt is lost.
//! 4. A resample that finds the status zero does nothing. There is no storm: each raise has a status that was set.
//!
//! The status is an atomic word, and nobody waits for anybody. A raise may be carried out a little later than its cause is
//! set, after the guest has seen and acknowledged that: then the guest is interrupted once for nothing, as it can be on real
//! hardware.

use netrx::spec::mmio::interrupt;

use crate::KvmError;
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// KVM's end of the line.
pub(super) trait Wires {
    /// Raises the line, until the guest's next end of interrupt.
    fn raise(&self) -> Result<(), KvmError>;

    /// Takes back what KVM told of ends of interrupt; whether there was one.
    fn take_resample(&self) -> Result<bool, KvmError>;
}

/// The register, and the line that follows it.
#[derive(Debug)]
pub(super) struct Status<W> {
    bits: AtomicU32,
    /// A raise failed that its cause needs.
    owed: AtomicBool,
    wires: W,
}

impl<W: Wires> Status<W> {
    /// Nothing is set, and the line is low.
    pub(super) fn new(wires: W) -> Self {
        Self { bits: AtomicU32::new(0), owed: AtomicBool::new(false), wires }
    }

    pub(super) fn wires(&self) -> &W {
        &self.wires
    }

    /// Sets bits. They are set also when the raise fails; the next call tries that again.
    pub(super) fn set(&self, bits: u32) -> Result<(), KvmError> {
        let before = self.bits.fetch_or(bits, Ordering::AcqRel);
        if self.owed.swap(false, Ordering::AcqRel) || (before == 0 && bits != 0) {
            self.raise()?;
        }
        Ok(())
    }

    fn raise(&self) -> Result<(), KvmError> {
        // Not a store, which loom would let slip in between the halves of the swap above (its issue 254).
        self.wires.raise().inspect_err(|_| _ = self.owed.fetch_or(true, Ordering::AcqRel))
    }

    /// For a device that keeps the register itself, which is not zero while the line is to be high.
    pub(super) fn follow(&self, high: bool) -> Result<(), KvmError> {
        if high {
            return self.set(interrupt::USED);
        }
        self.acknowledge(u32::MAX);
        Ok(())
    }

    pub(super) fn get(&self) -> u32 {
        self.bits.load(Ordering::Acquire)
    }

    /// Clears bits.
    pub(super) fn acknowledge(&self, bits: u32) {
        self.bits.fetch_and(!bits, Ordering::AcqRel);
    }

    /// Clears all bits, and returns those that were set.
    pub(super) fn take(&self) -> u32 {
        self.bits.swap(0, Ordering::AcqRel)
    }

    /// Serves a resample, if there was one: raises the line again if anything is set. Says whether it did.
    ///
    /// It is taken before the status is looked at: whoever sets a bit after that look raises a line that is low, or whose next
    /// end of interrupt is told of once more.
    pub(super) fn resample(&self) -> Result<bool, KvmError> {
        if !self.wires.take_resample()? || self.get() == 0 {
            return Ok(false);
        }
        self.raise()?;
        Ok(true)
    }
}
