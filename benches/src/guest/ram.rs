//! Guest memory: one anonymous mapping, every page touched, on 2 MiB boundaries so that all subjects get the
//! same.

#![allow(
    unsafe_code,
    reason = "the mapping, and raw access to it: no reference to guest memory is ever made"
)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::Result;

/// Guest physical address of the first byte.
pub(crate) const GPA_BASE: u64 = 0x4000_0000;

const HUGE_PAGE: usize = 2 << 20;

/// A guest's memory, mapped as long as this lives.
pub(crate) struct GuestRam {
    map: NonNull<u8>,
    map_len: usize,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone and is accessed through raw pointers and atomics only.
unsafe impl Send for GuestRam {}
// SAFETY: as above; who may touch which bytes when is settled by the virtio protocol.
unsafe impl Sync for GuestRam {}

impl GuestRam {
    /// Maps at least `len` bytes and fills them with a byte no frame is made of.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let len = len.next_multiple_of(HUGE_PAGE);
        let map_len = len + HUGE_PAGE;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), map_len, prot, flags, -1, 0) };
        if map == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().into());
        }
        let map = NonNull::new(map.cast::<u8>()).ok_or("mapped at null")?;
        let skip = map.align_offset(HUGE_PAGE);
        // SAFETY: `skip` is below HUGE_PAGE, by which the mapping is longer than `len`.
        let base = unsafe { map.add(skip) };
        // SAFETY: `base..base + len` lies in the mapping; the advice changes no content.
        unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
        // SAFETY: as above, and nobody else has the mapping yet.
        unsafe { base.write_bytes(0xa5, len) };
        Ok(Self { map, map_len, base, len })
    }

    /// Bytes of it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where `len` bytes at a guest address lie in this process. Panics when they are not all guest memory.
    pub(crate) fn host(&self, gpa: u64, len: usize) -> *mut u8 {
        let at = usize::try_from(gpa.wrapping_sub(GPA_BASE)).unwrap_or(usize::MAX);
        assert!(at < self.len && len <= self.len - at, "{gpa:#x}+{len} is not guest memory");
        self.base.as_ptr().wrapping_add(at)
    }

    /// Loads a ring index, acquiring what was written before it.
    pub(crate) fn load_u16(&self, gpa: u64) -> u16 {
        u16::from_le(self.word(gpa).load(Ordering::Acquire))
    }

    /// Stores a ring index, releasing what was written before it.
    pub(crate) fn store_u16(&self, gpa: u64, value: u16) {
        self.word(gpa).store(value.to_le(), Ordering::Release);
    }

    /// Copies bytes out.
    pub(crate) fn read(&self, gpa: u64, out: &mut [u8]) {
        let from = self.host(gpa, out.len());
        // SAFETY: `host` has checked the range; `out` is ours, so the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, gpa: u64, bytes: &[u8]) {
        let to = self.host(gpa, bytes.len());
        // SAFETY: `host` has checked the range; `bytes` is not guest memory, so the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    fn word(&self, gpa: u64) -> &AtomicU16 {
        let at = self.host(gpa, 2).cast::<u16>();
        assert!(at.is_aligned());
        // SAFETY: in range, aligned, mapped while `self` lives, and an atomic may be written by others.
        unsafe { AtomicU16::from_ptr(at) }
    }
}

impl Drop for GuestRam {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nobody holds `self` any more.
        unsafe { libc::munmap(self.map.as_ptr().cast(), self.map_len) };
    }
}
