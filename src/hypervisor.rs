//! The hypervisor, as far as a receive queue needs it.

use crate::irq::IrqLine;
use crate::mem::GuestMemory;

/// Hands out what a receive queue needs of a virtual machine.
///
/// * **Threads**: called while a device is set up, from the VMM's thread; [`exit_vcpus`](Self::exit_vcpus) from any.
/// * **Blocking**: none of it waits for the guest.
/// * **Errors**: typed by the backend inside of [`HypervisorError`]; none of them changes the machine.
pub trait Hypervisor {
    /// The guest's memory.
    type Memory: GuestMemory + 'static;
    /// A line that interrupts the guest.
    type Irq: IrqLine + 'static;

    /// A handle to the guest's memory.
    fn memory(&self) -> Self::Memory;

    /// The line of interrupt `irq`.
    ///
    /// # Errors
    /// When the machine has no such line, or it cannot be set up.
    fn irq_line(&self, irq: IrqId) -> Result<Self::Irq, HypervisorError>;

    /// Makes every running vCPU leave the guest, so that it looks at its pending interrupts.
    ///
    /// # Errors
    /// When the hypervisor refuses.
    fn exit_vcpus(&self) -> Result<(), HypervisorError>;
}

/// An interrupt's number, in the numbering of the hypervisor (a GSI, an SPI, a vector).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IrqId(pub u32);

/// Why a hypervisor did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HypervisorError {
    /// There is no such interrupt.
    #[error("the machine has no interrupt {}", .0.0)]
    NoSuchIrq(IrqId),
    /// The backend's own error.
    #[error(transparent)]
    Backend(Box<dyn std::error::Error + Send + Sync>),
}
