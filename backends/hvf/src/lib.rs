//! The Hypervisor framework of Apple silicon: what a receive queue needs of a virtual machine that the VMM already has.
//!
//! ```text
//! engine --raise--> EdgeLine, LevelPin --hv_gic_set_spi--> GIC --> guest
//! VMM --exit_vcpus--> Vcpus --hv_vcpus_exit, if it is in the guest--> vCPU's thread: JoinedVcpu::run --> Requested
//! ```
//!
//! 1. The VMM makes its VM (`hv_vm_create`) and, before any vCPU, its GIC (`hv_gic_create`). A process has one of each, so
//!    nothing here is handed a VM.
//! 2. It vouches for the memory that it mapped, a `HostMapping` for each region. A `HvfMemory` is the table of them, and a
//!    `GuestMapping` shows it to the guest (`hv_vm_map`).
//! 3. A `HvfHypervisor` over that memory is handed to `RxWorkerSlot::deposit_hypervisor`, for an edge-triggered line; or a
//!    `LevelPin` of it to a `MmioDevice`.
//! 4. Each vCPU's thread sets its affinity (`MPIDR_EL1`), by which the GIC routes interrupts to it, joins `Vcpus`, and calls
//!    `hv_vcpu_run` inside of `JoinedVcpu::run`.
//! 5. Dropping any of these undoes it: the memory is taken from the guest, the line falls, the vCPU leaves the registry.
//!
//! # Interrupts
//! | the device has | use |
//! | --- | --- |
//! | an edge-triggered SPI | `irq_line` |
//! | a level-triggered SPI (virtio-mmio) | `level_pin`, in a `MmioDevice` |
//!
//! The GIC interrupts a vCPU that is in the guest. One whose thread sleeps outside of it, since the VMM serves the guest's
//! WFI itself, has to be woken: put either line into a `Nudging`, which makes the vCPUs exit after each raise.
//!
//! # Platforms
//! macOS 15 or later on Apple silicon; the program needs the entitlement `com.apple.security.hypervisor`. The crate also
//! compiles on 64-bit Linux, where its tests run it against a stand-in for the framework; there is no such library to link
//! a program with. On other systems it is empty.
//!
//! **It has not been run on Apple hardware.** What the framework does is taken from its headers and documentation; the
//! stand-in does the same. The test `claims` asks whichever of the two it is linked with.

#[cfg(supported)]
mod code;
#[cfg(supported)]
mod edge;
#[cfg(supported)]
mod error;
#[cfg(supported)]
mod hypervisor;
#[cfg(supported)]
mod level;
#[cfg(supported)]
mod memory;
#[cfg(supported)]
mod nudge;
#[cfg(supported)]
mod spi;
#[cfg(supported)]
mod sync;
#[cfg(supported)]
mod sys;
#[cfg(supported)]
mod vcpus;
#[cfg(supported)]
mod word;

#[cfg(supported)]
pub use code::HvCode;
#[cfg(supported)]
pub use edge::EdgeLine;
#[cfg(supported)]
pub use error::HvfError;
#[cfg(supported)]
pub use hypervisor::HvfHypervisor;
#[cfg(supported)]
pub use level::LevelPin;
#[cfg(supported)]
pub use memory::{GuestMapping, HvfMemory};
#[cfg(supported)]
pub use nudge::Nudging;
#[cfg(supported)]
pub use sys::HostMapping;
#[cfg(supported)]
pub use vcpus::{JoinedVcpu, Ran, Vcpus};
