//! Host memory that stands for a guest's: from the heap, or mapped between two pages that nobody may touch. And a look at a
//! descriptor.

#![allow(unsafe_code, reason = "allocates and maps raw memory")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd};

use netrx::mem::{Region, RegionError, RegionMap};
use netrx::{Gpa, GuestMemory};

use crate::MockMemory;

/// The alignment of every mapping: that of the largest pages in use.
const ALIGN: usize = 1 << 16;

/// Zeroed memory that is given back when dropped.
#[derive(Debug)]
pub(crate) enum Mapping {
    Heap {
        at: *mut u8,
        layout: Layout,
    },
    #[cfg(unix)]
    Guarded {
        base: *mut u8,
        page: usize,
        len: usize,
    },
}

// SAFETY: a mapping is an address range that it owns; all access goes through raw copies and atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing in it changes after it is made.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes of the heap.
    pub(crate) fn heap(len: usize) -> Self {
        let layout = Layout::from_size_align(len.max(1), ALIGN).unwrap_or(Layout::new::<u64>());
        // SAFETY: the layout has at least one byte.
        let at = unsafe { alloc_zeroed(layout) };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        Self::Heap { at, layout }
    }

    /// `len` bytes whose last is followed by an inaccessible page, and whose first page is preceded by one.
    #[cfg(unix)]
    pub(crate) fn guarded(len: usize) -> std::io::Result<Self> {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let len = len.next_multiple_of(page);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new anonymous mapping, at an address of the system's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len + 2 * page, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let guarded = Self::Guarded { base: base.cast(), page, len };
        // SAFETY: the range lies within the mapping just made.
        let opened = unsafe { libc::mprotect(guarded.at().cast(), len, libc::PROT_READ | libc::PROT_WRITE) };
        if opened == 0 { Ok(guarded) } else { Err(std::io::Error::last_os_error()) }
    }

    fn at(&self) -> *mut u8 {
        match self {
            Self::Heap { at, .. } => *at,
            #[cfg(unix)]
            Self::Guarded { base, page, .. } => base.wrapping_add(*page),
        }
    }

    /// How many bytes there are: at least as many as were asked for.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Heap { layout, .. } => layout.size(),
            #[cfg(unix)]
            Self::Guarded { len, .. } => *len,
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        match *self {
            // SAFETY: allocated with this layout, and nobody else frees it.
            Self::Heap { at, layout } => unsafe { dealloc(at, layout) },
            #[cfg(unix)]
            // SAFETY: mapped by `guarded` with these bounds, and nobody else unmaps it.
            Self::Guarded { base, page, len } => unsafe {
                libc::munmap(base.cast(), len + 2 * page);
            },
        }
    }
}

/// Whether there is something to read, or an end or error to be told of.
#[cfg(unix)]
pub(crate) fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which lives for the call.
    unsafe { libc::poll(&raw mut polled, 1, 0) == 1 }
}

/// Guest memory over mappings that it keeps.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: RegionMap,
    mappings: Vec<Mapping>,
}

impl Mapped {
    pub(crate) const fn new() -> Self {
        Self { map: RegionMap::new(), mappings: Vec::new() }
    }

    /// Adds a mapping as the guest's memory from `start`.
    pub(crate) fn add(&mut self, start: Gpa, mapping: Mapping) -> Result<(), RegionError> {
        // SAFETY: the mapping is kept beside the map and outlives it: it is neither moved out nor dropped before.
        unsafe { self.map.insert(start, mapping.at(), mapping.len()) }?;
        self.mappings.push(mapping);
        Ok(())
    }
}

// SAFETY: forwards to the region map, which the mappings beside it outlive.
unsafe impl GuestMemory for Mapped {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.map.region(at)
    }
}

// SAFETY: forwards to the memory that it keeps, which is shared and so never refreshed.
unsafe impl GuestMemory for MockMemory {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.backing.region(at)
    }

    fn logs_writes(&self) -> bool {
        self.backing.logs_writes()
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        self.backing.mark_written(at, len);
    }
}
