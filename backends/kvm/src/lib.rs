//! KVM: what a receive queue needs of a virtual machine that the VMM already has.
//!
//! ```text
//! engine --raise--> EdgeLine, LevelPin --irqfd--> GSI --pin or MsiRoute--> guest
//! guest --QueueNotify--> Doorbell (ioeventfd) --Watcher or the VMM's own loop--> RxWorkerSlot::kick
//! VMM --exit_vcpus--> Vcpus --immediate_exit and a signal--> KVM_RUN returns EINTR
//! ```
//!
//! 1. The VMM makes its VM, with the in-kernel interrupt controllers (`KVM_CREATE_IRQCHIP`), and its guest memory.
//!    `MemorySlots::register` shows the memory to the guest.
//! 2. A `KvmHypervisor` over both is handed to `RxWorkerSlot::deposit_hypervisor`, for an edge-triggered line; or a
//!    `LevelPin` of it to `deposit_irq`, or to a `MmioDevice` that has its own slot.
//! 3. A `Doorbell` takes the driver's kicks without an exit to the VMM.
//! 4. Each vCPU's thread joins `Vcpus` before its first `KVM_RUN`.
//! 5. Dropping any of these undoes it in the VM: the line is unbound, the doorbell unregistered, the slot emptied.
//!
//! # Interrupts
//! | the device has | use | needs |
//! | --- | --- | --- |
//! | MSI or MSI-X | `msi_route`, then `irq_line` of its number | nothing more |
//! | an edge-triggered pin | `irq_line` | nothing more |
//! | a level-triggered pin (virtio-pci INTx, virtio-mmio) | `level_pin` | its resample descriptor served |
//!
//! # Platforms
//! Linux on x86-64. On other systems this crate is empty.

#[cfg(supported)]
mod doorbell;
#[cfg(supported)]
mod edge;
#[cfg(supported)]
mod error;
#[cfg(supported)]
mod hypervisor;
#[cfg(supported)]
mod irqfd;
#[cfg(supported)]
mod level;
#[cfg(supported)]
mod memory;
#[cfg(supported)]
mod routes;
#[cfg(supported)]
mod sync;
#[cfg(supported)]
mod sys;
#[cfg(supported)]
mod vcpus;
#[cfg(supported)]
mod watcher;

#[cfg(supported)]
pub use doorbell::{Doorbell, DoorbellAt, Value};
#[cfg(supported)]
pub use edge::EdgeLine;
#[cfg(supported)]
pub use error::KvmError;
#[cfg(supported)]
pub use hypervisor::KvmHypervisor;
#[cfg(supported)]
pub use level::LevelPin;
#[cfg(supported)]
pub use memory::MemorySlots;
#[cfg(supported)]
pub use routes::{MsiMessage, MsiRoute};
#[cfg(supported)]
pub use vcpus::{JoinedVcpu, Vcpus};
#[cfg(supported)]
pub use watcher::Watcher;
