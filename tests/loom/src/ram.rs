//! Guest memory on the heap, and who touches its buffers when.

#![allow(unsafe_code, reason = "backs guest memory with the heap")]

use std::cell::UnsafeCell;

use netrx::Gpa;
use netrx::mem::{GuestMemory, Region, RegionMap};

/// One region of guest memory.
pub struct Ram {
    map: RegionMap,
    _words: Box<[UnsafeCell<u128>]>,
}

// SAFETY: its bytes are reached through raw copies and atomics only, by threads of a model, of which one runs at a time.
unsafe impl Send for Ram {}
// SAFETY: as above.
unsafe impl Sync for Ram {}

impl Ram {
    /// Where it begins in the guest.
    pub const START: Gpa = Gpa(0x1000);

    /// `len` bytes, rounded up to 16, all zero.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let words: Box<[UnsafeCell<u128>]> = (0..len.div_ceil(16)).map(|_| UnsafeCell::new(0)).collect();
        let mut map = RegionMap::new();
        let host = words.as_ptr().cast_mut().cast();
        // SAFETY: the words are kept beside the map, and nobody makes a reference to what is inside of a cell.
        let mapped = unsafe { map.insert(Self::START, host, size_of_val(&*words)) };
        debug_assert!(mapped.is_ok(), "an empty map has room");
        Self { map, _words: words }
    }
}

// SAFETY: forwards to the map, whose only region lives as long as it does.
unsafe impl GuestMemory for Ram {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.map.region(at)
    }
}

/// A buffer's stand-in: loom fails if one side may write it while the other looks at it.
///
/// A frame's bytes are copied past loom; touching this at the same moment shows loom the copy.
#[derive(Debug, Default)]
pub struct Touched(loom::cell::UnsafeCell<()>);

// SAFETY: there is nothing inside; what loom records of it is loom's own.
unsafe impl Sync for Touched {}

impl Touched {
    /// The device writes the buffer.
    pub fn write(&self) {
        self.0.with_mut(|_| ());
    }

    /// The guest looks at the buffer.
    pub fn read(&self) {
        self.0.with(|_| ());
    }
}
