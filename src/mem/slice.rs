//! A run of guest memory: an address, a length, and copies in and out.

#![allow(unsafe_code, reason = "copies through raw pointers into guest memory")]

use std::marker::PhantomData;

/// A run of guest memory that is contiguous in the host, good for as long as the memory that resolved it.
///
/// Every copy is clipped to the slice, and there is never a reference to its bytes: what the guest writes meanwhile is mixed
/// into a copy, and does no more than that.
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

    /// No bytes.
    pub(crate) const EMPTY: Self = Self { host: std::ptr::null_mut(), len: 0, memory: PhantomData };

    /// The `len` bytes from `offset` on, if it has them.
    #[inline(always)]
    pub(super) fn get(self, offset: u64, len: u32) -> Option<Self> {
        let room = (self.len as u64).checked_sub(u64::from(len))?;
        // SAFETY: `offset + len` is at most this slice's length.
        (offset <= room).then(|| unsafe { Self::new(self.host.add(offset as usize), len as usize) })
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

    /// The same, and takes those bytes off it.
    #[inline]
    pub(crate) fn take_from(self, from: &mut &[u8]) -> usize {
        let len = self.copy_from(from);
        *from = from.get(len..).unwrap_or_default();
        len
    }

    /// Copies a header in and a frame behind it; returns how many bytes both are. `None` writes nothing: there is no room
    /// for them, or the frame is too short.
    #[inline(always)]
    pub(crate) fn copy_headed(self, header: &Header, frame: &[u8]) -> Option<usize> {
        if !header.allows(frame.len(), self.len) {
            return None;
        }
        // SAFETY: a header's padding is no longer than the shortest frame, so there is room for all of it here.
        unsafe { std::ptr::copy_nonoverlapping(header.padded.as_ptr(), self.host, Header::PADDED) };
        // SAFETY: the frame's bytes are readable, and as many are writable behind the header.
        unsafe { copy(frame.as_ptr(), self.host.add(header.len), frame.len()) };
        Some(header.len + frame.len())
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

/// The header in front of each frame, padded to be copied in one piece: the frame overwrites the padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    padded: [u8; Self::PADDED],
    /// At most [`PADDED`](Self::PADDED).
    len: usize,
    /// Bytes of the header and the shortest frame that goes with it; at least [`PADDED`](Self::PADDED).
    shortest: usize,
}

impl Header {
    const PADDED: usize = 16;

    /// The first `len` of `bytes`, for frames of at least `shortest` bytes; a frame that does not cover the padding is too
    /// short in any case.
    pub(crate) fn new<const N: usize>(bytes: &[u8; N], len: usize, shortest: usize) -> Self {
        const { assert!(N <= Self::PADDED) };
        let mut padded = [0; Self::PADDED];
        padded[..N].copy_from_slice(bytes);
        let len = len.min(N);
        Self { padded, len, shortest: (len + shortest).max(Self::PADDED) }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.padded.get(..self.len).unwrap_or_default()
    }

    /// Whether it goes with a frame of this length, and both into `room` bytes.
    #[inline(always)]
    pub(crate) fn allows(&self, frame: usize, room: usize) -> bool {
        (self.shortest..=room).contains(&(self.len + frame))
    }
}

/// Header and frame, copied out piece by piece.
pub(crate) struct Parts<'f> {
    header: &'f [u8],
    frame: &'f [u8],
}

impl<'f> Parts<'f> {
    pub(crate) fn new(header: &'f [u8], frame: &'f [u8]) -> Self {
        Self { header, frame }
    }

    /// Copies as much as fits; returns how many bytes that was.
    #[inline]
    pub(crate) fn copy_to(&mut self, to: GuestSlice<'_>) -> usize {
        let header = if self.header.is_empty() { 0 } else { to.take_from(&mut self.header) };
        header + to.skip(header).take_from(&mut self.frame)
    }
}

/// Copies `len` bytes; short runs, which most frames are, without a call.
///
/// # Safety
/// As many bytes are readable at `from` and writable at `to`, and the two do not overlap.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    match len {
        // SAFETY: the caller's promise, and there are at least as many bytes.
        32..=64 => unsafe { copy_ends::<32>(from, to, len) },
        // SAFETY: the caller's promise, and there are at least as many bytes.
        65..=128 => unsafe { copy_ends::<64>(from, to, len) },
        // SAFETY: the caller's promise.
        _ => unsafe { std::ptr::copy_nonoverlapping(from, to, len) },
    }
}

/// Copies the first and the last `N` of `len` bytes, which is all of them if `len` is at most `2 * N`.
///
/// # Safety
/// As for [`copy`], and `len` is at least `N`.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: `N` bytes from the start lie within `len`.
    unsafe { std::ptr::copy_nonoverlapping(from, to, N) };
    // SAFETY: `N` bytes before the end lie within `len`.
    unsafe { std::ptr::copy_nonoverlapping(from.add(len - N), to.add(len - N), N) };
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

    /// This and `next` as one run, if that begins where this ends.
    ///
    /// It may lie in two mappings: it is for the system, which takes longer over many small runs, and not to be
    /// [attached](Self::attach).
    #[inline]
    pub(crate) fn join(self, next: Self) -> Option<Self> {
        (self.base.wrapping_add(self.len) == next.base).then_some(Self { len: self.len + next.len, ..self })
    }

    /// Claims the bytes again.
    ///
    /// # Safety
    /// The memory this was detached from lives for `'m`, and has reported no change of its layout since. It is not out of a
    /// scatter list, where it may stand for neighbours that are mapped apart.
    #[must_use]
    #[inline]
    pub const unsafe fn attach<'m>(self) -> GuestSlice<'m> {
        // SAFETY: the caller vouches for the mapping.
        unsafe { GuestSlice::new(self.base, self.len) }
    }
}
