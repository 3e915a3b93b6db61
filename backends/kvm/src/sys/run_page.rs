//! The page that a vCPU shares with KVM.

#![allow(unsafe_code, reason = "maps a page and writes one byte of it")]

use std::ffi::c_void;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;

const LEN: usize = size_of::<kvm_run>();
/// A request to exit, as all values but 0 are, that no other place makes.
const MARK: u8 = 2;

/// A mapping of our own of a vCPU's `kvm_run`, so that it is valid for as long as we like and no reference of
/// `kvm-ioctls` points into it.
#[derive(Debug)]
pub(crate) struct RunPage(NonNull<c_void>);

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for RunPage {}
// SAFETY: the one byte that is written through it is written atomically.
unsafe impl Sync for RunPage {}

impl RunPage {
    pub(crate) fn map(vcpu: &VcpuFd) -> io::Result<Self> {
        let (access, fd) = (libc::PROT_READ | libc::PROT_WRITE, vcpu.as_raw_fd());
        // SAFETY: a new mapping at a place that the system chooses.
        let at = unsafe { libc::mmap(ptr::null_mut(), LEN, access, libc::MAP_SHARED, fd, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Whether the next `KVM_RUN` returns at once with `EINTR`.
    pub(crate) fn set_immediate_exit(&self, exit: bool) {
        self.immediate_exit().store(exit.into(), Ordering::SeqCst);
    }

    /// Marks the vCPU for as long as `look` takes: then all pages of it are marked, and no other. A descriptor's number would
    /// not tell them apart, as it is used again once the vCPU's is closed.
    ///
    /// Nobody may write to a page of it meanwhile. It may find an exit that nobody asked for, and misses none.
    pub(crate) fn marked<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = self.immediate_exit().swap(MARK, Ordering::SeqCst);
        let seen = look();
        self.immediate_exit().store(before, Ordering::SeqCst);
        seen
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.immediate_exit().load(Ordering::SeqCst) == MARK
    }

    fn immediate_exit(&self) -> &AtomicU8 {
        let byte = self.0.as_ptr().wrapping_byte_add(offset_of!(kvm_run, immediate_exit)).cast();
        // SAFETY: the byte is mapped for as long as `self` lives; KVM reads it at any time, as one byte.
        unsafe { AtomicU8::from_ptr(byte) }
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody holds a pointer to it.
        unsafe { libc::munmap(self.0.as_ptr(), LEN) };
    }
}
