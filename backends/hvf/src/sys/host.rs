//! Host memory that the VMM vouches for, and the table that finds a guest's address in it.

#![allow(unsafe_code, reason = "hands out memory that the VMM vouches for")]

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use netrx::mem::{Region, RegionError, RegionMap};
use netrx::{Gpa, GuestMemory};

use crate::HvfMemory;

/// Host memory for a guest, and what keeps it mapped. Clones are the same memory.
#[derive(Clone)]
pub struct HostMapping {
    at: *mut u8,
    len: usize,
    _owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: `new` demands memory that any thread may use.
unsafe impl Send for HostMapping {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for HostMapping {}

impl HostMapping {
    /// `len` bytes at `at`, which stay mapped until `owner` is dropped.
    ///
    /// To be shown to a guest, both must be multiples of the page size, as must be the address in the guest. The system has to
    /// be asked for it: it is 16 KiB on Apple silicon.
    ///
    /// # Safety
    /// The bytes are mapped, readable and writable, from any thread, until `owner` is dropped, and no Rust reference to them
    /// exists meanwhile. A guest may write them at any time.
    pub unsafe fn new(at: *mut u8, len: usize, owner: impl Send + Sync + 'static) -> Self {
        Self { at, len, _owner: Arc::new(owner) }
    }

    /// Its first byte's address in the host.
    pub(super) const fn at(&self) -> *mut u8 {
        self.at
    }

    /// Its length in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl fmt::Debug for HostMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMapping").field("at", &self.at).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Which mapping is where in the guest.
#[derive(Debug, Default)]
pub(crate) struct Table {
    map: RegionMap,
    regions: Vec<(Gpa, HostMapping)>,
}

impl Table {
    pub(crate) fn insert(&mut self, start: Gpa, mapping: HostMapping) -> Result<(), RegionError> {
        // SAFETY: the mapping is kept beside the map, and is neither taken out nor dropped before it.
        unsafe { self.map.insert(start, mapping.at, mapping.len) }?;
        self.regions.push((start, mapping));
        Ok(())
    }

    pub(crate) fn regions(&self) -> &[(Gpa, HostMapping)] {
        &self.regions
    }
}

// SAFETY: forwards to the region map, which the mappings beside it outlive.
unsafe impl GuestMemory for HvfMemory {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.table.map.region(at)
    }
}
