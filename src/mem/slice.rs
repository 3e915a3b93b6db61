//! A run of guest memory: an address, a length, and copies in and out.

#![allow(unsafe_code, reason = "copies through raw pointers into guest memory")]

use std::marker::PhantomData;

/// A run of guest memory that is contiguous in the host, good for as long as the memory that resolved it.
///
/// Every copy is clipped to the slice. Concurrent writes by the guest give mixed bytes, never undefined behaviour on
/// the host: there is no reference, and nothing is read twice.
#[derive(Clone, Copy, Debug)]
pub struct GuestSlice<'m> {
    host: *mut u8,
    len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m> GuestSlice<'m> {
    /// A slice of `len` bytes from `host`.
    ///
    /// # Safety
    /// The bytes are mapped, readable and writable, for the whole of `'m`, and no Rust reference to them exists.
    #[must_use]
    pub const unsafe fn new(host: *mut u8, len: usize) -> Self {
        Self { host, len, memory: PhantomData }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its first byte's address in the host.
    #[must_use]
    pub const fn as_ptr(self) -> *mut u8 {
        self.host
    }

    /// The slice without its first `bytes`; empty if it has no more than those.
    #[must_use]
    #[inline]
    pub fn skip(self, bytes: usize) -> Self {
        let bytes = bytes.min(self.len);
        // SAFETY: `bytes <= len`, so both the address and the rest stay inside of this slice.
        unsafe { Self::new(self.host.add(bytes), self.len - bytes) }
    }

    /// At most the first `bytes` of the slice.
    #[must_use]
    #[inline]
    pub fn take(self, bytes: usize) -> Self {
        Self { len: self.len.min(bytes), ..self }
    }

    /// Copies the front of `from` in, as much as fits; returns how many bytes that was.
    #[inline]
    pub fn copy_from(self, from: &[u8]) -> usize {
        let len = from.len().min(self.len);
        // SAFETY: `len` bytes are readable in `from` and writable here; a Rust slice is never guest memory.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.host, len) };
        len
    }

    /// Copies the front of the slice out, as much as `to` holds; returns how many bytes that was.
    #[inline]
    pub fn copy_to(self, to: &mut [u8]) -> usize {
        let len = to.len().min(self.len);
        // SAFETY: `len` bytes are readable here and writable in `to`; a Rust slice is never guest memory.
        unsafe { std::ptr::copy_nonoverlapping(self.host, to.as_mut_ptr(), len) };
        len
    }

    /// The slice without its lifetime, to be kept while no turn is running.
    #[must_use]
    #[inline]
    pub fn detach(self) -> GuestBuf {
        GuestBuf { base: self.host, len: self.len }
    }
}

/// The address and length of a run of guest memory, with no claim that it is still mapped.
///
/// On Unix it has the layout of `struct iovec`, so a row of them is a scatter list for `readv`, `recvmsg` and their
/// like.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GuestBuf {
    base: *mut u8,
    len: usize,
}

// SAFETY: an address and a length; whoever uses the bytes answers for the thread it does so from.
unsafe impl Send for GuestBuf {}

impl GuestBuf {
    /// Its length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its first byte's address in the host.
    #[must_use]
    pub const fn as_ptr(self) -> *mut u8 {
        self.base
    }

    /// Claims the bytes again.
    ///
    /// # Safety
    /// The memory this was detached from lives for `'m`, and has reported no change of its layout since.
    #[must_use]
    #[inline]
    pub const unsafe fn attach<'m>(self) -> GuestSlice<'m> {
        // SAFETY: the caller vouches for the mapping.
        unsafe { GuestSlice::new(self.base, self.len) }
    }
}
