//! The guest's memory, as KVM knows it.

use std::sync::Arc;

use kvm_ioctls::VmFd;
use vm_memory::GuestMemoryMmap;
use vm_memory::bitmap::Bitmap;

use crate::KvmError;
use crate::sys::Slot;

/// Memory that the guest sees, for as long as this lives: one slot for each region.
///
/// It keeps the memory mapped and the VM open. Dropping it empties the slots; a guest that still runs then finds nothing
/// at those addresses.
#[derive(Debug)]
pub struct MemorySlots<B: Bitmap + 'static = ()>(Vec<Slot<B>>);

impl<B: Bitmap + 'static> MemorySlots<B> {
    /// Shows every region of `memory` to the guest, in slots numbered from `first`.
    ///
    /// # Errors
    /// When KVM refuses one of the regions, which the error names; those before it are taken back.
    pub fn register(vm: &Arc<VmFd>, memory: &GuestMemoryMmap<B>, first: u32) -> Result<Self, KvmError> {
        Slot::fill(vm, memory, first).map(Self)
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the memory has no region.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
