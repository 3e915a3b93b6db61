//! The process's VM, as far as a receive queue needs it.

use netrx::{GuestMemory, Hypervisor, HypervisorError, IrqId};

use crate::{EdgeLine, HvfError, HvfMemory, LevelPin, Vcpus};

/// A [`Hypervisor`] over the VM and the GIC that the VMM has made. The framework has one of each in a process.
///
/// Clones are the same machine. Interrupts are numbered as the GIC does it: the first SPI is 32, where a device tree's
/// `interrupts` says 0.
#[derive(Clone, Debug)]
pub struct HvfHypervisor<M = HvfMemory> {
    memory: M,
    vcpus: Vcpus,
}

impl<M: GuestMemory + Clone + 'static> HvfHypervisor<M> {
    /// A machine with that memory, which the guest [was shown](crate::GuestMapping), and the vCPUs that joined or will join.
    #[must_use]
    pub const fn new(memory: M, vcpus: Vcpus) -> Self {
        Self { memory, vcpus }
    }

    /// A level-triggered line. A device has one for each interrupt: making a second one lowers the first.
    ///
    /// # Errors
    /// When `irq` is no SPI, or an MSI; when there is no GIC.
    pub fn level_pin(&self, irq: IrqId) -> Result<LevelPin, HvfError> {
        LevelPin::new(irq)
    }
}

impl<M: GuestMemory + Clone + 'static> Hypervisor for HvfHypervisor<M> {
    type Memory = M;
    type Irq = EdgeLine;

    fn memory(&self) -> M {
        self.memory.clone()
    }

    /// An edge-triggered line on an SPI.
    fn irq_line(&self, irq: IrqId) -> Result<EdgeLine, HypervisorError> {
        Ok(EdgeLine::new(irq)?)
    }

    fn exit_vcpus(&self) -> Result<(), HypervisorError> {
        Ok(self.vcpus.exit()?)
    }
}
