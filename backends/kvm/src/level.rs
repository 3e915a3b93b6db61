//! Interrupts that are a level: virtio-pci's INTx and virtio-mmio's line.
//!
//! The line is up while the interrupt status register is not zero. KVM can be told to raise it but not to lower it: it
//! lowers it by itself at the guest's end of interrupt, and tells us (it resamples). So one rule has to hold:
//!
//! > while the status is not zero, the line is up, or is about to be raised, or a resample is waiting to be served.
//!
//! 1. [`signal`](LevelPin::signal) raises the line only when the status was zero: else the rule holds already, and one write
//!    serves a whole burst.
//! 2. The guest acknowledges: the status is zero, and the line, still up, falls at the end of interrupt.
//! 3. If the status was set again between the two, the raise found the line up and had no effect. The resample comes
//!    after that end of interrupt, finds the status set and raises again. No interrupt is lost.
//! 4. A resample that finds the status zero does nothing. There is no storm: each raise has a status that was set.
//!
//! The status is an atomic word, and nobody waits for anybody. A raise may be carried out a little later than its cause is
//! set, after the guest has seen and acknowledged that: then the guest is interrupted once for nothing, as it can be on real
//! hardware.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kvm_ioctls::VmFd;
use netrx::spec::mmio::interrupt;
use netrx::{IrqError, IrqId, IrqLine, LevelLine};

use crate::irqfd::Irqfd;
use crate::sys::Event;
use crate::{KvmError, Watcher};

/// A level-triggered line, with the interrupt status register that it follows.
///
/// All clones are the same line: one goes into the slot of each queue, and the VMM keeps one, with which it
///
/// * answers the guest's accesses to the register, by [`take_status`](Self::take_status) or
///   [`status`](Self::status) and [`acknowledge`](Self::acknowledge);
/// * **must serve the resamples**: poll the line's descriptor for reading and then call [`resample`](Self::resample), or
///   have a [`watch`](Self::watch) do it.
///
/// The line falls only with the guest's end of interrupt, also after the status is zero and after
/// [`set(false)`](LevelLine::set).
///
/// Any thread may call any of it; nothing blocks. When the last clone is dropped, the eventfds are unbound.
#[derive(Clone, Debug)]
pub struct LevelPin(Arc<Level>);

#[derive(Debug)]
struct Level {
    irqfd: Irqfd,
    resampled: Event,
    status: AtomicU32,
    /// A raise failed that its cause needs.
    owed: AtomicBool,
}

impl LevelPin {
    pub(crate) fn new(vm: &Arc<VmFd>, irq: IrqId) -> Result<Self, KvmError> {
        let resampled = Event::new()?;
        let irqfd = Irqfd::level(vm, irq, &resampled)?;
        let (status, owed) = (AtomicU32::new(0), AtomicBool::new(false));
        Ok(Self(Arc::new(Level { irqfd, resampled, status, owed })))
    }

    /// Sets bits of the status (those of [`interrupt`]), and so raises the line.
    ///
    /// # Errors
    /// When the eventfd cannot be written. The bits are set all the same, and the next call tries again.
    pub fn signal(&self, bits: u32) -> Result<(), KvmError> {
        let before = self.0.status.fetch_or(bits, Ordering::AcqRel);
        if self.0.owed.swap(false, Ordering::AcqRel) || (before == 0 && bits != 0) {
            self.raise()?;
        }
        Ok(())
    }

    fn raise(&self) -> Result<(), KvmError> {
        self.0.irqfd.raise().inspect_err(|_| self.0.owed.store(true, Ordering::Release))
    }

    /// What a driver reads of virtio-mmio's `InterruptStatus` (section 4.2.2).
    #[must_use]
    pub fn status(&self) -> u32 {
        self.0.status.load(Ordering::Acquire)
    }

    /// What a driver does by writing `bits` to virtio-mmio's `InterruptACK` (section 4.2.2).
    pub fn acknowledge(&self, bits: u32) {
        self.0.status.fetch_and(!bits, Ordering::AcqRel);
    }

    /// What a driver reads of virtio-pci's ISR status, which reading clears (section 4.1.4.5). Also for a device reset.
    pub fn take_status(&self) -> u32 {
        self.0.status.swap(0, Ordering::AcqRel)
    }

    /// Serves a resample, if there was one: raises the line again if the status is not zero. Says whether it did.
    ///
    /// # Errors
    /// When an eventfd fails.
    pub fn resample(&self) -> Result<bool, KvmError> {
        if !self.0.resampled.take().map_err(KvmError::io("read a resample"))? {
            return Ok(false);
        }
        if self.status() == 0 {
            return Ok(false);
        }
        self.raise()?;
        Ok(true)
    }

    /// Serves the resamples on a thread of its own, for a VMM without an event loop.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(&self) -> Result<Watcher, KvmError> {
        Watcher::start("netrx-resample", self.clone(), |line| line.resample().map(drop))
    }
}

/// For a device that keeps the status itself, as virtio-mmio's [`MmioDevice`](netrx::MmioDevice) does: then nobody but that
/// device sets it, and the resamples are served all the same.
///
/// A line that is lowered falls only with the guest's end of interrupt, as [`LevelLine`] lets it: until then the guest finds it
/// high, with nothing in the status.
impl LevelLine for LevelPin {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        if high {
            self.signal(interrupt::USED)?;
        } else {
            self.acknowledge(u32::MAX);
        }
        Ok(())
    }
}

/// For a device without a register of its own: what it has used becomes its status here.
impl IrqLine for LevelPin {
    fn raise(&mut self) -> Result<(), IrqError> {
        Ok(self.signal(interrupt::USED)?)
    }
}

/// Readable when there is a resample to be served.
impl AsFd for LevelPin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.resampled.as_fd()
    }
}
