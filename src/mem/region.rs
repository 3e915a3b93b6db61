//! Guest memory of several regions that the consumer has mapped.

#![allow(unsafe_code, reason = "hands out slices of mappings that the consumer vouches for")]

use super::{Gpa, GuestBuf, GuestMemory, GuestSlice, Region};

/// Guest memory made of host mappings, for a VMM that keeps its own.
///
/// Regions are sorted by address and found by bisection. A guest range that crosses from one region into its
/// neighbour is served in two runs.
#[derive(Debug, Default)]
pub struct RegionMap {
    regions: Vec<(Gpa, GuestBuf)>,
}

// SAFETY: addresses only; `insert` demands mappings that any thread may use for as long as the map lives.
unsafe impl Sync for RegionMap {}

impl RegionMap {
    /// A map without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { regions: Vec::new() }
    }

    /// Adds `len` bytes at `host` as the guest's memory from `start`.
    ///
    /// # Errors
    /// When the region is empty, leaves the address space, or overlaps another. The map is then as it was.
    ///
    /// # Safety
    /// The bytes are mapped, readable and writable, from any thread, for as long as this map lives, and no Rust
    /// reference to them exists meanwhile.
    pub unsafe fn insert(&mut self, start: Gpa, host: *mut u8, len: usize) -> Result<(), RegionError> {
        let end =
            start.checked_add(len as u64).filter(|_| len > 0).ok_or(RegionError::Range { start, len })?;
        let place = self.regions.partition_point(|&(other, _)| other < start);
        let before = place.checked_sub(1).and_then(|index| self.regions.get(index));
        let reached = before.is_some_and(|&(other, buf)| other.0 + buf.len() as u64 > start.0);
        let reaches = self.regions.get(place).is_some_and(|&(other, _)| other < end);
        if reached || reaches {
            return Err(RegionError::Overlap { start, len });
        }
        // SAFETY: the caller vouches for the mapping; `detach` drops the lifetime again.
        let host = unsafe { GuestSlice::new(host, len) }.detach();
        self.regions.insert(place, (start, host));
        Ok(())
    }
}

// SAFETY: `insert` demands that each mapping outlives the map.
unsafe impl GuestMemory for RegionMap {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        let after = self.regions.partition_point(|&(start, _)| start <= at);
        let &(start, host) = self.regions.get(after.checked_sub(1)?)?;
        // SAFETY: the mapping lives as long as the map, which the answer's lifetime borrows.
        let host = unsafe { host.attach() };
        (at.0 - start.0 < host.len() as u64).then_some(Region { start, host })
    }
}

/// Why a region cannot be added to a [`RegionMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// It has no bytes, or runs over the end of the address space.
    #[error("a region of {len} bytes at {start} is empty or leaves the address space")]
    Range {
        /// Where it was to begin.
        start: Gpa,
        /// Its length in bytes.
        len: usize,
    },
    /// Another region already backs a part of it.
    #[error("a region of {len} bytes at {start} overlaps one that is already there")]
    Overlap {
        /// Where it was to begin.
        start: Gpa,
        /// Its length in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two regions, and one that fits just between them.
    #[test]
    fn regions_may_touch_and_not_overlap() {
        let host = Box::into_raw(Box::new([0_u8; 0x3000])).cast();
        let mut map = RegionMap::new();
        // SAFETY: no more than the bytes that were leaked, to which there is no reference.
        let mut add = |start, len| unsafe { map.insert(Gpa(start), host, len) };
        assert_eq!((add(0x2000, 0x1000), add(0x4000, 0x1000)), (Ok(()), Ok(())));
        let overlaps = [
            ("the same", 0x2000, 0x1000),
            ("within", 0x2800, 0x10),
            ("its first byte", 0x1000, 0x1001),
            ("its last byte", 0x2fff, 1),
            ("beyond its end", 0x2fff, 0x1000),
            ("around it", 0x1800, 0x2000),
            ("the next one's first byte", 0x3000, 0x1001),
        ];
        for (what, start, len) in overlaps {
            let start = Gpa(start);
            assert_eq!(add(start.0, len), Err(RegionError::Overlap { start, len }), "{what}");
        }
        assert_eq!(add(0x3000, 0x1000), Ok(()));
        let starts =
            [0x1fff, 0x2000, 0x3000, 0x4fff, 0x5000].map(|at| map.region(Gpa(at)).map(|found| found.start.0));
        assert_eq!(starts, [None, Some(0x2000), Some(0x3000), Some(0x4000), None]);
    }
}
