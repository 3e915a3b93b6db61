//! Guest memory: the one place where a guest's address becomes a host's.
//!
//! The guest and its devices write this memory whenever they like, so nothing here ever makes a Rust reference to it:
//! a [`GuestSlice`] is an address and a length that can be copied into and out of, a [`GuestArray`] is a row of words
//! that are loaded and stored atomically. Both carry the lifetime of the memory that resolved them.
//!
//! This module is an island of `unsafe`; the rest of the crate builds on its safe surface.

mod array;
mod region;
mod slice;
mod translate;
#[cfg(feature = "vm-memory")]
mod vm_memory;

pub use array::GuestArray;
pub(crate) use array::{GuestRing, GuestRun};
pub use region::{RegionError, RegionMap};
pub use slice::{GuestBuf, GuestSlice};
pub(crate) use slice::{Header, Parts};
pub use translate::Translator;
#[cfg(feature = "vm-memory")]
pub use vm_memory::AtomicMemory;

pub use crate::sync::Word;

use std::fmt;
use std::sync::Arc;

/// A guest physical address, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpa(pub u64);

impl Gpa {
    /// The address `bytes` further on, unless that leaves the 64-bit address space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(at) => Some(Self(at)),
            None => None,
        }
    }

    /// Whether the address is a multiple of `alignment`, a power of two.
    #[must_use]
    pub const fn is_aligned(self, alignment: u64) -> bool {
        self.0 & alignment.wrapping_sub(1) == 0
    }
}

impl fmt::Display for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Part of a guest's memory that is contiguous in the guest and in the host.
#[derive(Clone, Copy, Debug)]
pub struct Region<'m> {
    /// Where the region begins in the guest.
    pub start: Gpa,
    /// Where it is in the host. Its length is the region's.
    pub host: GuestSlice<'m>,
}

impl<'m> Region<'m> {
    /// A region that holds no address.
    const EMPTY: Self = Self { start: Gpa(0), host: GuestSlice::EMPTY };

    /// What it holds from `at` on, if it holds that address.
    #[inline]
    fn from(&self, at: Gpa) -> Option<GuestSlice<'m>> {
        let offset = at.0.wrapping_sub(self.start.0);
        (offset < self.host.len() as u64).then(|| self.host.skip(offset as usize))
    }

    /// The `len` bytes from `at`, if it holds all of them.
    #[inline(always)]
    pub(crate) fn get(&self, at: Gpa, len: u32) -> Option<GuestSlice<'m>> {
        self.host.get(at.0.wrapping_sub(self.start.0), len)
    }
}

/// The memory of a guest, as a device sees it.
///
/// * **Ordering**: none is implied; the ring's words are ordered by the ring.
/// * **Threads**: called from the thread that drives the engine; `Sync`, because a VMM shares it with its vCPUs.
/// * **Blocking**: never; [`region`](Self::region) is on the data path.
/// * **Errors**: an address nobody backs is `None`, which the engine takes as the guest's fault.
///
/// # Safety
/// What [`region`](Self::region) returns must be mapped, readable and writable, at that address and for its whole
/// length, until the memory is dropped or a call of [`refresh`](Self::refresh) has returned `true`, whichever comes
/// first. No Rust reference to those bytes may exist meanwhile.
#[allow(unsafe_code, reason = "the contract that the module's soundness rests on")]
pub unsafe trait GuestMemory: Send + Sync {
    /// The region that holds `at`, if any.
    fn region(&self, at: Gpa) -> Option<Region<'_>>;

    /// Takes over a changed layout (hot-plugged memory), and says whether there was a change.
    ///
    /// The engine calls it between turns, when it holds no slice, and translates anew what it had reserved if the
    /// answer is `true`.
    fn refresh(&mut self) -> bool {
        false
    }

    /// Whether [`mark_written`](Self::mark_written) does anything. Asked once a turn: a log that begins later is complete
    /// from the next one on.
    fn logs_writes(&self) -> bool {
        false
    }

    /// Records that the device wrote `len` bytes from `at`, for a dirty log. Called after the write, and
    /// before the guest is told of it; for the word that tells it, right after.
    fn mark_written(&self, at: Gpa, len: u32) {
        let _ = (at, len);
    }
}

// SAFETY: the `Box` owns the memory, and hides nothing of it.
#[allow(unsafe_code, reason = "forwards the contract of the memory it owns")]
unsafe impl<M: GuestMemory + ?Sized> GuestMemory for Box<M> {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        (**self).region(at)
    }

    fn refresh(&mut self) -> bool {
        (**self).refresh()
    }

    fn logs_writes(&self) -> bool {
        (**self).logs_writes()
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        (**self).mark_written(at, len);
    }
}

/// Behind an `Arc` the layout never changes, as it is not this one's alone: memory that is plugged is handed over itself.
// SAFETY: the `Arc` keeps the memory alive, and shared memory cannot be refreshed through it.
#[allow(unsafe_code, reason = "forwards the contract of the memory it shares")]
unsafe impl<M: GuestMemory + ?Sized> GuestMemory for Arc<M> {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        (**self).region(at)
    }

    fn logs_writes(&self) -> bool {
        (**self).logs_writes()
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        (**self).mark_written(at, len);
    }
}

/// Why a guest address could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// No region backs the first byte of the range.
    #[error("no guest memory at {at}")]
    Unmapped {
        /// The address nobody backs.
        at: Gpa,
    },
    /// The range starts in one region and does not end in it.
    #[error("{len} bytes at {at} are not contiguous in host memory: a ring must lie in one region")]
    Scattered {
        /// Where the range begins.
        at: Gpa,
        /// Its length in bytes.
        len: u64,
    },
    /// The range runs over the end of the 64-bit address space.
    #[error("{len} bytes at {at} run over the end of the address space")]
    Overflow {
        /// Where the range begins.
        at: Gpa,
        /// Its length in bytes.
        len: u64,
    },
    /// The host's address of an array is not aligned for its words.
    #[error("guest memory at {at} is backed by a host address that is not aligned to {alignment} bytes")]
    Misaligned {
        /// The guest's address.
        at: Gpa,
        /// The alignment needed, in bytes.
        alignment: usize,
    },
}
