//! What the framework refused, and what to do about it.

use netrx::mem::RegionError;
use netrx::{Gpa, HypervisorError, IrqError, IrqId};

use crate::HvCode;

/// Why something could not be set up or done in the VM. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HvfError {
    /// A region cannot be part of the guest's memory.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A region cannot be mapped into the guest, since it is not made of whole pages.
    #[error(
        "hv_vm_map refused {len:#x} bytes at {start}, backed at {host:#x}: all three must be multiples of the page size, \
         {page:#x} here (ask the system for it; map host memory in whole pages)"
    )]
    Misaligned {
        /// Where the region begins in the guest.
        start: Gpa,
        /// Where it is in the host.
        host: usize,
        /// Its length in bytes.
        len: usize,
        /// The system's page size in bytes.
        page: usize,
    },
    /// A region cannot be mapped into the guest for another reason.
    #[error("hv_vm_map refused {len:#x} bytes at {start}: {code} (regions must not overlap what is mapped)")]
    Map {
        /// Where the region begins in the guest.
        start: Gpa,
        /// Its length in bytes.
        len: usize,
        /// What the framework said.
        #[source]
        code: HvCode,
    },
    /// The interrupt is no shared peripheral interrupt of the GIC, or one of its MSI range.
    #[error("the GIC has no SPI {} that is not an MSI: the numbers begin at 32 and count as the guest's GIC does", .0.0)]
    NoSuchIrq(IrqId),
    /// The vCPU is in the registry already.
    #[error("vCPU {0} has joined already: each is run by one thread, its own")]
    Joined(u64),
    /// A vCPU could not be made to leave the guest; the others were.
    #[error("hv_vcpus_exit refused vCPU {vcpu}: {code} (a vCPU leaves the registry before it is destroyed)")]
    Exit {
        /// The framework's number of the vCPU.
        vcpu: u64,
        /// What the framework said.
        #[source]
        code: HvCode,
    },
    /// Another call failed.
    #[error("{call} failed: {code}")]
    Call {
        /// The call's name.
        call: &'static str,
        /// What the framework said.
        #[source]
        code: HvCode,
    },
}

impl HvfError {
    /// For `map_err`.
    pub(crate) fn call(call: &'static str) -> impl FnOnce(HvCode) -> Self {
        move |code| Self::Call { call, code }
    }
}

impl From<HvfError> for HypervisorError {
    fn from(error: HvfError) -> Self {
        match error {
            HvfError::NoSuchIrq(irq) => Self::NoSuchIrq(irq),
            error => Self::Backend(Box::new(error)),
        }
    }
}

/// `HV_BUSY` passes; all else does not.
impl From<HvfError> for IrqError {
    fn from(error: HvfError) -> Self {
        match error {
            HvfError::Call { code: HvCode::Busy, .. } | HvfError::Exit { code: HvCode::Busy, .. } => {
                Self::Busy
            }
            error => Self::Failed(Box::new(error)),
        }
    }
}
