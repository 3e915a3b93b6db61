//! The memory of rust-vmm's `vm-memory`, as it is and behind its atomic swap.

#![allow(unsafe_code, reason = "hands out slices of the mappings that vm-memory keeps")]

use std::any::TypeId;
use std::sync::Arc;

use ::vm_memory::bitmap::Bitmap;
use ::vm_memory::{
    GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend as _, GuestMemoryMmap,
    GuestMemoryRegion, GuestRegionMmap, MemoryRegionAddress,
};

use super::{Gpa, GuestMemory, GuestSlice, Region};

// SAFETY: a `GuestMemoryMmap` keeps its mappings until it is dropped and never changes which it has.
unsafe impl<B: Bitmap + Send + Sync + 'static> GuestMemory for GuestMemoryMmap<B> {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        let region = self.find_region(GuestAddress(at.0))?;
        let host = region.get_host_address(MemoryRegionAddress(0)).ok()?;
        // SAFETY: the region maps that many bytes from there, for as long as this memory lives.
        let host = unsafe { GuestSlice::new(host, region.len() as usize) };
        Some(Region { start: Gpa(region.start_addr().0), host })
    }

    fn logs_writes(&self) -> bool {
        has_log::<B>()
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        let (mut at, mut left) = (at.0, u64::from(len));
        while left > 0 {
            let Some(region) = self.find_region(GuestAddress(at)) else { return };
            let offset = at - region.start_addr().0;
            let here = left.min(region.len() - offset);
            mark(region, offset, here);
            at += here;
            left -= here;
        }
    }
}

/// Whether the bitmap is one: `()` stands for none.
fn has_log<B: 'static>() -> bool {
    TypeId::of::<B>() != TypeId::of::<()>()
}

fn mark<B: Bitmap>(region: &GuestRegionMmap<B>, offset: u64, len: u64) {
    region.bitmap().mark_dirty(offset as usize, len as usize);
}

/// A `GuestMemoryAtomic`, whose layout the VMM may swap while the engine runs (memory hot-plug).
///
/// The engine sees the new layout at its next turn and keeps the old one mapped until then.
#[derive(Clone, Debug)]
pub struct AtomicMemory<B: Bitmap + 'static = ()> {
    swapped: GuestMemoryAtomic<GuestMemoryMmap<B>>,
    now: Arc<GuestMemoryMmap<B>>,
}

impl<B: Bitmap + 'static> From<GuestMemoryAtomic<GuestMemoryMmap<B>>> for AtomicMemory<B> {
    fn from(swapped: GuestMemoryAtomic<GuestMemoryMmap<B>>) -> Self {
        let now = swapped.memory().into_inner();
        Self { swapped, now }
    }
}

// SAFETY: `now` keeps the mappings of every answer, and is let go of only by a `refresh` that returns `true`.
unsafe impl<B: Bitmap + Send + Sync + 'static> GuestMemory for AtomicMemory<B> {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        GuestMemory::region(&*self.now, at)
    }

    fn refresh(&mut self) -> bool {
        let latest = self.swapped.memory();
        if std::ptr::eq(&*latest, &*self.now) {
            return false;
        }
        self.now = latest.into_inner();
        true
    }

    fn logs_writes(&self) -> bool {
        has_log::<B>()
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        GuestMemory::mark_written(&*self.now, at, len);
    }
}
