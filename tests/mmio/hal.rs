//! What a driver from elsewhere asks of its machine: memory that the device reaches as well.
//!
//! The driver's own buffers are the test's heap, which is no guest memory: they are copied into it when they are shared with
//! the device, and back when they are not any more, as a machine with bounce buffers does it.

#![allow(unsafe_code, reason = "implements an unsafe trait over raw memory")]

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use netrx::Gpa;
use netrx_mock::MockMemory;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// The machine that the driver runs on: one for all, since the driver knows it by its type. A driver that is dropped never takes
/// back the receive buffers that it has shared, so there is memory for some hundred of them.
static MACHINE: LazyLock<Machine> = LazyLock::new(|| Machine {
    memory: MockMemory::heap(&[1 << 26]),
    pages: Mutex::new(Pages { next: 0, free: HashMap::new() }),
});

struct Machine {
    memory: MockMemory,
    pages: Mutex<Pages>,
}

/// Which pages are in use.
struct Pages {
    next: usize,
    /// Runs that were given back, by their length.
    free: HashMap<usize, Vec<Gpa>>,
}

impl Machine {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, pages: usize) -> Gpa {
        let mut all = self.pages();
        if let Some(at) = all.free.get_mut(&pages).and_then(Vec::pop) {
            return at;
        }
        let start = self.memory.regions()[0].0;
        let at = Gpa(start.0 + (all.next * PAGE_SIZE) as u64);
        all.next += pages;
        at
    }

    fn give_back(&self, at: Gpa, pages: usize) {
        self.pages().free.entry(pages).or_default().push(at);
    }

    /// Where the device finds the bytes from `at`.
    fn host(&self, at: Gpa, len: usize) -> NonNull<u8> {
        let slice = self.memory.slice(at, len);
        assert!(slice.is_ok(), "the machine's memory is large enough: {slice:?}");
        slice.ok().and_then(|slice| NonNull::new(slice.as_ptr())).unwrap_or(NonNull::dangling())
    }
}

/// The memory that driver and device share.
pub(crate) fn memory() -> MockMemory {
    MACHINE.memory.clone()
}

/// A field of a ring, which driver and device change and read by atomic accesses.
pub(crate) fn load(at: Gpa) -> u16 {
    let field = MACHINE.host(at, size_of::<u16>()).cast::<u16>();
    assert!(field.is_aligned(), "rings are");
    // SAFETY: the field is in memory, which lives as long as the program, and is aligned.
    u16::from_le(unsafe { AtomicU16::from_ptr(field.as_ptr()) }.load(Ordering::Acquire))
}

/// The machine, as the driver calls it.
pub(crate) struct Bounce;

// SAFETY: runs of pages are handed out once until they are given back, aligned to pages and zeroed; the mock's memory lives
// as long as the program.
unsafe impl Hal for Bounce {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let at = MACHINE.take(pages);
        let host = MACHINE.host(at, pages * PAGE_SIZE);
        // SAFETY: the run is in memory, and nobody else's.
        unsafe { host.write_bytes(0, pages * PAGE_SIZE) };
        (at.0, host)
    }

    unsafe fn dma_dealloc(at: PhysAddr, _host: NonNull<u8>, pages: usize) -> i32 {
        MACHINE.give_back(Gpa(at), pages);
        0
    }

    unsafe fn mmio_phys_to_virt(_at: PhysAddr, _size: usize) -> NonNull<u8> {
        unreachable!("that is for PCI")
    }

    unsafe fn share(buffer: NonNull<[u8]>, direction: BufferDirection) -> PhysAddr {
        let at = MACHINE.take(buffer.len().div_ceil(PAGE_SIZE));
        let bounce = MACHINE.host(at, buffer.len());
        if direction != BufferDirection::DeviceToDriver {
            // SAFETY: the caller vouches for the buffer, and the pages are as long and nobody else's.
            unsafe { bounce.copy_from_nonoverlapping(buffer.cast(), buffer.len()) };
        }
        at.0
    }

    unsafe fn unshare(at: PhysAddr, buffer: NonNull<[u8]>, direction: BufferDirection) {
        let bounce = MACHINE.host(Gpa(at), buffer.len());
        if direction != BufferDirection::DriverToDevice {
            // SAFETY: as above; the device is done with the pages.
            unsafe { buffer.cast().copy_from_nonoverlapping(bounce, buffer.len()) };
        }
        MACHINE.give_back(Gpa(at), buffer.len().div_ceil(PAGE_SIZE));
    }
}
