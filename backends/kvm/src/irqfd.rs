//! An eventfd that KVM turns into an interrupt.

use std::sync::Arc;

use kvm_ioctls::VmFd;
use netrx::IrqId;

use crate::KvmError;
use crate::sys::Event;

/// An eventfd bound to an interrupt of a VM, until it is dropped.
#[derive(Debug)]
pub(crate) struct Irqfd {
    vm: Arc<VmFd>,
    irq: IrqId,
    event: Event,
}

impl Irqfd {
    /// Each signal pulses the interrupt.
    pub(crate) fn edge(vm: &Arc<VmFd>, irq: IrqId) -> Result<Self, KvmError> {
        let event = Event::new()?;
        vm.register_irqfd(event.fd(), irq.0).map_err(|cause| KvmError::Bind { irq, cause: cause.into() })?;
        Ok(Self { vm: Arc::clone(vm), irq, event })
    }

    /// A signal asserts the interrupt until the guest's end of interrupt, of which `resample` is told.
    pub(crate) fn level(vm: &Arc<VmFd>, irq: IrqId, resample: &Event) -> Result<Self, KvmError> {
        let event = Event::new()?;
        vm.register_irqfd_with_resample(event.fd(), resample.fd(), irq.0)
            .map_err(|cause| KvmError::Bind { irq, cause: cause.into() })?;
        Ok(Self { vm: Arc::clone(vm), irq, event })
    }

    /// Signals it.
    pub(crate) fn raise(&self) -> Result<(), KvmError> {
        self.event.signal().map_err(KvmError::io("signal an interrupt"))
    }
}

impl Drop for Irqfd {
    fn drop(&mut self) {
        if let Err(error) = self.vm.unregister_irqfd(self.event.fd(), self.irq.0) {
            // Closing the eventfd, as happens next, unbinds it too: KVM waits for that.
            tracing::debug!(%error, irq = self.irq.0, "an interrupt's eventfd is unbound only as it is closed");
        }
    }
}
