//! The ring's words, from the driver's side.

use std::sync::atomic::{Ordering, fence};

use netrx::Gpa;
use netrx::mem::{GuestArray, Translator, Word};
use netrx::ring::RingConfig;

use crate::MockMemory;

/// The words of a split ring. Where the ring is not in memory, loads give zero and stores go nowhere.
#[derive(Debug)]
pub(super) struct Words<'m> {
    table: GuestArray<'m, u64>,
    avail: GuestArray<'m, u16>,
    used: GuestArray<'m, u16>,
    entries: GuestArray<'m, u32>,
    avail_event: GuestArray<'m, u16>,
    size: u16,
}

impl<'m> Words<'m> {
    pub(super) fn map(memory: &'m MockMemory, ring: &RingConfig) -> Self {
        let size = usize::from(ring.size);
        let mut translator = Translator::new(memory);
        Self {
            table: array(&mut translator, ring.desc, 2 * size),
            avail: array(&mut translator, ring.avail, size + 3),
            used: array(&mut translator, ring.used, 2),
            entries: array(&mut translator, Gpa(ring.used.0 + 4), 2 * size),
            avail_event: array(&mut translator, Gpa(ring.used.0 + 4 + 8 * size as u64), 1),
            size: ring.size,
        }
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.size - 1))
    }

    pub(super) fn set_descriptor(&self, index: u16, words: [u64; 2]) {
        self.table.store(2 * usize::from(index), words[0], Ordering::Relaxed);
        self.table.store(2 * usize::from(index) + 1, words[1], Ordering::Relaxed);
    }

    pub(super) fn set_avail_entry(&self, index: u16, head: u16) {
        self.avail.store(2 + self.slot(index), head, Ordering::Relaxed);
    }

    /// Shows the device what was made available, and orders that before the look at whether to kick.
    pub(super) fn publish_avail(&self, index: u16) {
        self.avail.store(1, index, Ordering::Release);
        self.barrier();
    }

    pub(super) fn barrier(&self) {
        fence(Ordering::SeqCst);
    }

    pub(super) fn set_avail_index(&self, index: u16) {
        self.avail.store(1, index, Ordering::Release);
    }

    pub(super) fn set_avail_flags(&self, flags: u16) {
        self.avail.store(0, flags, Ordering::Relaxed);
    }

    pub(super) fn set_used_event(&self, index: u16) {
        self.avail.store(2 + usize::from(self.size), index, Ordering::Relaxed);
    }

    pub(super) fn set_used_index(&self, index: u16) {
        self.used.store(1, index, Ordering::Relaxed);
    }

    pub(super) fn set_used_flags(&self, flags: u16) {
        self.used.store(0, flags, Ordering::Relaxed);
    }

    pub(super) fn set_avail_event(&self, index: u16) {
        self.avail_event.store(0, index, Ordering::Relaxed);
    }

    pub(super) fn used_index(&self) -> u16 {
        self.used.load(1, Ordering::Acquire)
    }

    pub(super) fn used_flags(&self) -> u16 {
        self.used.load(0, Ordering::Relaxed)
    }

    pub(super) fn avail_event(&self) -> u16 {
        self.avail_event.load(0, Ordering::Relaxed)
    }

    /// The id and the length of a used entry.
    pub(super) fn used_entry(&self, index: u16) -> (u32, u32) {
        let first = 2 * self.slot(index);
        (self.entries.load(first, Ordering::Relaxed), self.entries.load(first + 1, Ordering::Relaxed))
    }
}

/// The words at `at`; none if they are not in memory.
fn array<'m, T: Word>(memory: &mut Translator<'m, MockMemory>, at: Gpa, len: usize) -> GuestArray<'m, T> {
    GuestArray::new(memory, at, len).unwrap_or_default()
}
