//! The VM, its GIC, and its memory, until they are dropped.

#![allow(unsafe_code, reason = "calls the framework, and maps memory")]

use std::ptr::{self, null_mut};

use anyhow::{Context, Result};
use applevisor_sys::{
    hv_gic_config_create, hv_gic_config_set_distributor_base, hv_gic_config_set_redistributor_base,
    hv_gic_create, hv_vm_create, hv_vm_destroy, os_release,
};
use netrx_hvf::{HostMapping, HvCode};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Where the guest finds its GIC. Its redistributors are those of all vCPUs that a VM may have, 128 KiB each, made or not
/// (`hv_gic_get_redistributor_region_size`): no device may be among them.
const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTORS: u64 = 0x080a_0000;

/// The VM of this process.
pub(crate) struct Vm(());

impl Vm {
    /// A VM with a GIC and no vCPU.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: no configuration is passed.
        HvCode::check(unsafe { hv_vm_create(null_mut()) }).context("hv_vm_create")?;
        let vm = Self(());
        // SAFETY: the configuration is made here, and given back once the GIC has been made of it.
        let made = unsafe {
            let config = hv_gic_config_create();
            let made = HvCode::check(hv_gic_config_set_distributor_base(config, DISTRIBUTOR))
                .and_then(|()| HvCode::check(hv_gic_config_set_redistributor_base(config, REDISTRIBUTORS)))
                .and_then(|()| HvCode::check(hv_gic_create(config)));
            os_release(config);
            made
        };
        made.context("hv_gic_create")?;
        Ok(vm)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // SAFETY: takes no pointer.
        if let Err(error) = HvCode::check(unsafe { hv_vm_destroy() }) {
            eprintln!("hv_vm_destroy: {error}");
        }
    }
}

/// Pages of the system's.
struct Pages {
    at: *mut u8,
    len: usize,
}

// SAFETY: the pages belong to the process, not to a thread; only their address is in it.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `ram` with this length, and nobody has a pointer to them any more.
        if let Err(error) = unsafe { munmap(self.at.cast(), self.len) } {
            eprintln!("munmap: {error}");
        }
    }
}

/// At least `len` bytes of memory for a guest, in whole pages.
pub(crate) fn ram(len: usize) -> Result<HostMapping> {
    let len = len.next_multiple_of(rustix::param::page_size());
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place that the system chooses.
    let at = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }?.cast();
    // SAFETY: the pages stay mapped until their owner is dropped, and no reference to them is made.
    Ok(unsafe { HostMapping::new(at, len, Pages { at, len }) })
}
