//! Memory that the guest sees.

#![allow(unsafe_code, reason = "tells the framework where the guest's memory is")]

use applevisor_sys::{HV_MEMORY_EXEC, HV_MEMORY_READ, HV_MEMORY_WRITE, hv_vm_map, hv_vm_unmap};
use netrx::Gpa;

use super::HostMapping;
use super::page::page_size;
use crate::{HvCode, HvfError};

const ACCESS: u64 = HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC;

/// A region that the guest sees, until it is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    start: Gpa,
    len: usize,
    /// Keeps the region mapped in the host; let go of only once the guest cannot reach it any more.
    host: Option<HostMapping>,
}

impl Shown {
    pub(crate) fn map(start: Gpa, host: &HostMapping) -> Result<Self, HvfError> {
        let len = host.len();
        // SAFETY: the bytes are mapped as long as `host` lives, and this keeps it until the guest sees them no more.
        let mapped = HvCode::check(unsafe { hv_vm_map(host.at().cast(), start.0, len, ACCESS) });
        mapped.map_err(|code| refused(start, host, code))?;
        Ok(Self { start, len, host: Some(host.clone()) })
    }
}

/// Only what the framework refused is looked at: it knows which granule the VM has, and this does not.
fn refused(start: Gpa, host: &HostMapping, code: HvCode) -> HvfError {
    let (at, len, page) = (host.at() as usize, host.len(), page_size());
    let whole = start.is_aligned(page as u64) && at.is_multiple_of(page) && len.is_multiple_of(page);
    match code {
        HvCode::BadArgument if !whole => HvfError::Misaligned { start, host: at, len, page },
        code => HvfError::Map { start, len, code },
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: takes a region from the guest that was shown to it.
        match HvCode::check(unsafe { hv_vm_unmap(self.start.0, self.len) }) {
            // Without a VM nobody sees it.
            Ok(()) | Err(HvCode::NoDevice) => {}
            Err(error) => {
                tracing::error!(%error, start = %self.start, "hv_vm_unmap failed: the guest still sees the memory, which stays mapped in the host");
                std::mem::forget(self.host.take());
            }
        }
    }
}
