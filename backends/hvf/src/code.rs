//! What the calls of the framework return.

use applevisor_sys::{hv_error_t, hv_return_t};

/// Why a call of the framework failed: its `hv_return_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HvCode {
    /// The framework says no more.
    #[error("HV_ERROR")]
    Error,
    /// What it needs is in use.
    #[error("HV_BUSY: try again later")]
    Busy,
    /// An argument is wrong.
    #[error("HV_BAD_ARGUMENT")]
    BadArgument,
    /// The guest's state allows no such thing.
    #[error("HV_ILLEGAL_GUEST_STATE")]
    IllegalGuestState,
    /// The host has not enough of something.
    #[error("HV_NO_RESOURCES: the host is short of memory or vCPUs, free some")]
    NoResources,
    /// There is no VM, no GIC or no vCPU.
    #[error("HV_NO_DEVICE: make the VM with hv_vm_create, then its GIC with hv_gic_create, then vCPUs")]
    NoDevice,
    /// The system does not allow it.
    #[error("HV_DENIED: sign the program with the entitlement com.apple.security.hypervisor")]
    Denied,
    /// An address is not backed.
    #[error("HV_FAULT")]
    Fault,
    /// The hypervisor cannot do this.
    #[error("HV_UNSUPPORTED: it needs macOS 15 or later on Apple silicon")]
    Unsupported,
    /// A code that this crate does not know.
    #[error("the unknown code {0:#x}")]
    Unknown(u32),
}

const KNOWN: [(hv_error_t, HvCode); 9] = [
    (hv_error_t::HV_ERROR, HvCode::Error),
    (hv_error_t::HV_BUSY, HvCode::Busy),
    (hv_error_t::HV_BAD_ARGUMENT, HvCode::BadArgument),
    (hv_error_t::HV_ILLEGAL_GUEST_STATE, HvCode::IllegalGuestState),
    (hv_error_t::HV_NO_RESOURCES, HvCode::NoResources),
    (hv_error_t::HV_NO_DEVICE, HvCode::NoDevice),
    (hv_error_t::HV_DENIED, HvCode::Denied),
    (hv_error_t::HV_FAULT, HvCode::Fault),
    (hv_error_t::HV_UNSUPPORTED, HvCode::Unsupported),
];

impl HvCode {
    /// What a call returned, as a result. A VMM can use it for the calls that it makes itself.
    ///
    /// # Errors
    /// When the call failed.
    pub fn check(returned: hv_return_t) -> Result<(), Self> {
        let number = returned.cast_unsigned();
        if number == hv_error_t::HV_SUCCESS as u32 {
            return Ok(());
        }
        let known = KNOWN.iter().find(|(code, _)| *code as u32 == number);
        Err(known.map_or(Self::Unknown(number), |(_, code)| *code))
    }
}
