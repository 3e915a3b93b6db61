//! Interrupts that are a level: virtio-pci's INTx and virtio-mmio's line.
//!
//! `status` holds the rule by which no interrupt is lost and none is repeated; `models` runs it in every interleaving.

#[cfg(all(test, loom))]
mod models;
mod status;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use kvm_ioctls::VmFd;
use netrx::spec::mmio::interrupt;
use netrx::{IrqError, IrqId, IrqLine, LevelLine};

use self::status::{Status, Wires};
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
pub struct LevelPin(Arc<Status<Eventfds>>);

/// What KVM raises the line by, and what it tells ends of interrupt by.
#[derive(Debug)]
struct Eventfds {
    irqfd: Irqfd,
    resampled: Event,
}

impl Wires for Eventfds {
    fn raise(&self) -> Result<(), KvmError> {
        self.irqfd.raise()
    }

    fn take_resample(&self) -> Result<bool, KvmError> {
        self.resampled.take().map_err(KvmError::io("read a resample"))
    }
}

impl LevelPin {
    pub(crate) fn new(vm: &Arc<VmFd>, irq: IrqId) -> Result<Self, KvmError> {
        let resampled = Event::new()?;
        let irqfd = Irqfd::level(vm, irq, &resampled)?;
        Ok(Self(Arc::new(Status::new(Eventfds { irqfd, resampled }))))
    }

    /// Sets bits of the status (those of [`interrupt`]), and so raises the line.
    ///
    /// # Errors
    /// When the eventfd cannot be written. The bits are set all the same, and the next call tries again.
    pub fn signal(&self, bits: u32) -> Result<(), KvmError> {
        self.0.set(bits)
    }

    /// What a driver reads of virtio-mmio's `InterruptStatus` (section 4.2.2).
    #[must_use]
    pub fn status(&self) -> u32 {
        self.0.get()
    }

    /// What a driver does by writing `bits` to virtio-mmio's `InterruptACK` (section 4.2.2).
    pub fn acknowledge(&self, bits: u32) {
        self.0.acknowledge(bits);
    }

    /// What a driver reads of virtio-pci's ISR status, which reading clears (section 4.1.4.5). Also for a device reset.
    pub fn take_status(&self) -> u32 {
        self.0.take()
    }

    /// Serves a resample, if there was one: raises the line again if the status is not zero. Says whether it did.
    ///
    /// # Errors
    /// When an eventfd fails.
    pub fn resample(&self) -> Result<bool, KvmError> {
        self.0.resample()
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
        Ok(self.0.follow(high)?)
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
        self.0.wires().resampled.as_fd()
    }
}
