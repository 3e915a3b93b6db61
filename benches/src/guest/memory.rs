//! The bench's guest memory, as netrx sees it.

#![allow(unsafe_code, reason = "vouches for the mapping")]

use std::sync::Arc;

use netrx::mem::{Region, RegionMap};
use netrx::{Gpa, GuestMemory};

use super::{GPA_BASE, GuestRam};
use crate::Result;

/// One region over a guest's memory, which it keeps mapped.
pub(crate) struct RamMap {
    map: RegionMap,
    _ram: Arc<GuestRam>,
}

impl RamMap {
    /// All of `ram`.
    pub(crate) fn new(ram: Arc<GuestRam>) -> Result<Self> {
        let mut map = RegionMap::new();
        // SAFETY: the mapping is that long, lives as long as the `Arc` beside the map, and nobody refers to its bytes.
        unsafe { map.insert(Gpa(GPA_BASE), ram.host(GPA_BASE, ram.len()), ram.len()) }?;
        Ok(Self { map, _ram: ram })
    }
}

// SAFETY: forwards to the map, which the mapping outlives.
unsafe impl GuestMemory for RamMap {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.map.region(at)
    }
}
