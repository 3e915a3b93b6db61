//! A VM of KVM's, as far as a receive queue needs it.

use std::sync::Arc;

use kvm_ioctls::VmFd;
use netrx::{GuestMemory, Hypervisor, HypervisorError, IrqId};

use crate::routes::Routes;
use crate::{Doorbell, DoorbellAt, EdgeLine, KvmError, LevelPin, MsiMessage, MsiRoute, Value, Vcpus};

/// A [`Hypervisor`] over a VM that the VMM has made, with its in-kernel interrupt controllers.
///
/// Clones are the same machine. From the first [`msi_route`](Self::msi_route) on, the VM's table of interrupt routes
/// belongs to the machine: make one per VM, and set no routing beside it.
#[derive(Clone, Debug)]
pub struct KvmHypervisor<M> {
    vm: Arc<VmFd>,
    memory: M,
    vcpus: Vcpus,
    routes: Arc<Routes>,
}

impl<M: GuestMemory + Clone + 'static> KvmHypervisor<M> {
    /// A machine with that memory (`GuestMemoryMmap`, or [`AtomicMemory`](netrx::mem::AtomicMemory) where it is swapped),
    /// which the VMM [registered](crate::MemorySlots::register), and the vCPUs that joined or will join.
    #[must_use]
    pub fn new(vm: Arc<VmFd>, memory: M, vcpus: Vcpus) -> Self {
        let routes = Routes::new(Arc::clone(&vm));
        Self { vm, memory, vcpus, routes }
    }

    /// A level-triggered line on a pin of the interrupt controllers.
    ///
    /// # Errors
    /// When `irq` is no pin, or KVM does not bind it.
    pub fn level_pin(&self, irq: IrqId) -> Result<LevelPin, KvmError> {
        match self.routes.find(irq)? {
            None => LevelPin::new(&self.vm, irq),
            Some(_) => Err(KvmError::MsiLevel(irq)),
        }
    }

    /// Gives an MSI message a number among the VM's interrupts.
    ///
    /// # Errors
    /// When all numbers are taken, or KVM refuses the table.
    pub fn msi_route(&self, message: MsiMessage) -> Result<MsiRoute, KvmError> {
        self.routes.add(message)
    }

    /// A doorbell for the driver's writes of `value` to that address.
    ///
    /// # Errors
    /// When there is one already, or the address is not possible.
    pub fn doorbell(&self, at: DoorbellAt, value: Value) -> Result<Doorbell, KvmError> {
        if let DoorbellAt::Mmio(at) = at
            && self.memory.region(at).is_some()
        {
            return Err(KvmError::InMemory(at));
        }
        Doorbell::register(&self.vm, at, value)
    }
}

impl<M: GuestMemory + Clone + 'static> Hypervisor for KvmHypervisor<M> {
    type Memory = M;
    type Irq = EdgeLine;

    fn memory(&self) -> M {
        self.memory.clone()
    }

    /// An edge-triggered line on a pin or an [`MsiRoute`].
    fn irq_line(&self, irq: IrqId) -> Result<EdgeLine, HypervisorError> {
        let route = self.routes.find(irq)?;
        Ok(EdgeLine::new(&self.vm, irq, route)?)
    }

    fn exit_vcpus(&self) -> Result<(), HypervisorError> {
        Ok(self.vcpus.exit()?)
    }
}
