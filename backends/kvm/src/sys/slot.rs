//! The slots of a VM's memory.

#![allow(unsafe_code, reason = "tells KVM where the guest's memory is")]

use std::io;
use std::sync::Arc;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use netrx::Gpa;
use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _, MemoryRegionAddress};

use crate::KvmError;

/// A slot that KVM maps into the guest, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<B: Bitmap + 'static> {
    vm: Arc<VmFd>,
    region: kvm_userspace_memory_region,
    /// Keeps the region mapped; let go of only once the guest cannot reach it any more.
    memory: Option<GuestMemoryMmap<B>>,
}

impl<B: Bitmap + 'static> Slot<B> {
    /// Fills a slot for each region, numbered from `first`. What was filled before an error is emptied again.
    pub(crate) fn fill(
        vm: &Arc<VmFd>,
        memory: &GuestMemoryMmap<B>,
        first: u32,
    ) -> Result<Vec<Self>, KvmError> {
        let mut slots = Vec::new();
        for (index, region) in memory.iter().enumerate() {
            // No KVM has so many that the last number there is would be one.
            let slot = first.saturating_add(index as u32);
            let (start, len) = (Gpa(region.start_addr().0), region.len());
            let refused = |cause| KvmError::Slot { start, len, slot, cause };
            let host = region.get_host_address(MemoryRegionAddress(0));
            let host = host.map_err(|error| refused(io::Error::other(error)))?;
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: start.0,
                memory_size: len,
                userspace_addr: host as u64,
            };
            // SAFETY: `memory` keeps the region mapped at that address, and the slot keeps `memory` until it is emptied.
            unsafe { vm.set_user_memory_region(region) }.map_err(|cause| refused(cause.into()))?;
            slots.push(Self { vm: Arc::clone(vm), region, memory: Some(memory.clone()) });
        }
        Ok(slots)
    }
}

impl<B: Bitmap + 'static> Drop for Slot<B> {
    fn drop(&mut self) {
        let empty = kvm_userspace_memory_region { memory_size: 0, ..self.region };
        // SAFETY: an empty slot maps nothing.
        if let Err(error) = unsafe { self.vm.set_user_memory_region(empty) } {
            tracing::error!(%error, slot = self.region.slot, "a slot cannot be emptied: its memory stays mapped");
            std::mem::forget(self.memory.take());
        }
    }
}
