//! What the tests share: memory that the mock has and the backend shows, vCPUs, and a card on virtio-mmio.

#![allow(dead_code, reason = "each program uses its part")]
#![allow(unsafe_code, reason = "makes vCPUs, and vouches for the mock's memory")]

use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use applevisor_sys::{
    hv_exit_reason_t, hv_gic_config_create, hv_gic_config_set_distributor_base,
    hv_gic_config_set_redistributor_base, hv_gic_create, hv_reg_t, hv_sys_reg_t, hv_vcpu_create,
    hv_vcpu_destroy, hv_vcpu_exit_t, hv_vcpu_run, hv_vcpu_set_reg, hv_vcpu_set_sys_reg, hv_vm_create,
    hv_vm_destroy, hv_vm_unmap, os_release,
};
use netrx::mmio::Discard;
use netrx::{Gpa, IrqId, LevelLine, MmioDevice, NetConfig};
use netrx_hvf::{HostMapping, HvCode, HvfMemory};
use netrx_mock::MockMemory;

/// How long something that must happen may take.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// An SPI that is no MSI.
pub(crate) const IRQ: IrqId = IrqId(48);

/// The mock's memory, region by region.
pub(crate) fn mappings(mock: &MockMemory) -> Result<Vec<(Gpa, HostMapping)>> {
    let regions = mock.regions().iter();
    let mapping = |&(start, len): &(Gpa, usize)| {
        let at = mock.slice(start, len)?.as_ptr();
        // SAFETY: the mock keeps the region mapped and makes no reference to it; the clone keeps the mock.
        Ok((start, unsafe { HostMapping::new(at, len, mock.clone()) }))
    };
    regions.map(mapping).collect()
}

/// The same bytes as the mock's, through the backend.
pub(crate) fn memory(mock: &MockMemory) -> Result<HvfMemory> {
    Ok(HvfMemory::new(mappings(mock)?)?)
}

/// A mapping of any address and length, which nobody follows.
pub(crate) fn made_up(at: usize, len: usize) -> HostMapping {
    // SAFETY: it is only ever refused, or shown to a guest that does not run.
    unsafe { HostMapping::new(ptr::without_provenance_mut(at), len, ()) }
}

/// Memory of the mock's, kept by that owner.
pub(crate) fn owned(at: usize, len: usize, owner: (MockMemory, Arc<()>)) -> HostMapping {
    // SAFETY: the owner holds the mock, whose memory this is.
    unsafe { HostMapping::new(ptr::with_exposed_provenance_mut(at), len, owner) }
}

/// Takes a region from the guest, as a VMM may do itself.
pub(crate) fn unmap((start, len): (u64, usize)) -> Result<()> {
    // SAFETY: no guest runs.
    Ok(HvCode::check(unsafe { hv_vm_unmap(start, len) })?)
}

/// Makes a VM and its GIC, as a VMM does at the beginning.
pub(crate) fn make_vm() -> Result<()> {
    // SAFETY: no configuration is passed.
    HvCode::check(unsafe { hv_vm_create(ptr::null_mut()) }).context("hv_vm_create")?;
    // SAFETY: the configuration is made here, and given back once the GIC has been made of it.
    let made = unsafe {
        let config = hv_gic_config_create();
        let made = HvCode::check(hv_gic_config_set_distributor_base(config, 0x0800_0000))
            .and_then(|()| HvCode::check(hv_gic_config_set_redistributor_base(config, 0x080a_0000)))
            .and_then(|()| HvCode::check(hv_gic_create(config)));
        os_release(config);
        made
    };
    made.context("hv_gic_create")
}

/// Destroys the VM, as a VMM does at the end.
pub(crate) fn destroy_vm() -> Result<()> {
    // SAFETY: takes no pointer.
    Ok(HvCode::check(unsafe { hv_vm_destroy() })?)
}

/// A vCPU of this thread.
pub(crate) struct OwnVcpu {
    pub(crate) id: u64,
    exit: *const hv_vcpu_exit_t,
    own_thread: PhantomData<*const ()>,
}

impl OwnVcpu {
    pub(crate) fn new() -> Result<Self> {
        let (mut id, mut exit) = (0, ptr::null());
        // SAFETY: both are borrowed for the call; there is no configuration.
        HvCode::check(unsafe { hv_vcpu_create(&raw mut id, &raw mut exit, ptr::null_mut()) })?;
        let vcpu = Self { id, exit, own_thread: PhantomData };
        // SAFETY: takes no pointer. The GIC finds it by that.
        HvCode::check(unsafe { hv_vcpu_set_sys_reg(id, hv_sys_reg_t::MPIDR_EL1, 1 << 31 | id) })?;
        Ok(vcpu)
    }

    /// Where its program begins.
    pub(crate) fn start_at(&self, start: Gpa) -> Result<()> {
        // SAFETY: takes no pointer.
        Ok(HvCode::check(unsafe { hv_vcpu_set_reg(self.id, hv_reg_t::PC, start.0) })?)
    }

    /// Runs it; why it came out.
    pub(crate) fn run(&self) -> Result<hv_exit_reason_t> {
        // SAFETY: takes no pointer.
        HvCode::check(unsafe { hv_vcpu_run(self.id) })?;
        // SAFETY: the framework's place for this vCPU, which is written by its runs only.
        Ok(unsafe { (*self.exit).reason })
    }
}

impl Drop for OwnVcpu {
    fn drop(&mut self) {
        // SAFETY: takes no pointer.
        let destroyed = HvCode::check(unsafe { hv_vcpu_destroy(self.id) });
        assert_eq!(destroyed, Ok(()));
    }
}

/// A card with that line.
pub(crate) fn card<L: LevelLine>(memory: HvfMemory, line: L) -> Result<MmioDevice<HvfMemory, L>> {
    Ok(MmioDevice::new("hvf-rx", &NetConfig::new([2, 0, 0, 0, 0, 1]), memory, line, Discard::default())?)
}
