//! Where split rings and their buffers lie in guest memory.
//!
//! The subjects of a case have a ring each, but share the buffers: they take turns, so nobody notices, and
//! none of them can be lucky with where its pages lie, or have its buffers pushed out of the cache by the
//! others'.

use std::sync::Arc;

use super::{GPA_BASE, GuestRam};
use crate::Result;

const PAGE: u64 = 4096;
const DESC_LEN: u64 = 16;
const F_NEXT: u16 = 1;
const F_WRITE: u16 = 2;

/// What a guest posts: `size` descriptors, in chains of `chain`, each of `piece` bytes, `gap` bytes apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) size: u16,
    pub(crate) chain: u16,
    pub(crate) piece: u32,
    pub(crate) gap: u32,
}

impl Shape {
    /// A ring of 256 descriptors in chains of `chain` that hold `bytes` together; pieces are whole cache
    /// lines.
    pub(crate) fn holding(bytes: usize, chain: u16) -> Self {
        let piece = bytes.div_ceil(usize::from(chain)).next_multiple_of(64);
        Self { size: 256, chain, piece: piece as u32, gap: 0 }
    }

    /// Buffers of the ring, each a chain.
    pub(crate) fn heads(self) -> u16 {
        self.size / self.chain
    }
}

/// Rings that can lie side by side in one guest's memory, over the same buffers.
pub(crate) const SEATS: u64 = 8;

/// The addresses of a ring of some shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) desc: u64,
    pub(crate) avail: u64,
    pub(crate) used: u64,
    buffers: u64,
}

impl Layout {
    /// Lays out the ring of a seat, each part on its own page; the buffers come after the last seat's,
    /// without a gap.
    pub(crate) fn new(shape: Shape, seat: u64) -> Self {
        let size = u64::from(shape.size);
        let avail = (DESC_LEN * size).next_multiple_of(PAGE);
        let used = (avail + 6 + 2 * size).next_multiple_of(PAGE);
        let ring = (used + 6 + 8 * size).next_multiple_of(PAGE);
        let desc = GPA_BASE + seat * ring;
        Self { shape, desc, avail: desc + avail, used: desc + used, buffers: GPA_BASE + SEATS * ring }
    }

    /// Guest memory with room for all seats' rings and their buffers.
    pub(crate) fn memory(shape: Shape) -> Result<Arc<GuestRam>> {
        let end = Self::new(shape, 0).buffer(shape.size);
        Ok(Arc::new(GuestRam::new((end - GPA_BASE) as usize)?))
    }

    /// The address of a descriptor's buffer.
    pub(crate) fn buffer(&self, descriptor: u16) -> u64 {
        self.buffers + u64::from(descriptor) * u64::from(self.shape.piece + self.shape.gap)
    }

    /// The head of the chain that the ring offers, and gets back, in a slot.
    pub(crate) fn head_of_slot(&self, slot: u16) -> u16 {
        slot % self.shape.heads() * self.shape.chain
    }

    /// The address of the word by which the driver asks for interrupts.
    pub(crate) fn used_event(&self) -> u64 {
        self.avail + 4 + 2 * u64::from(self.shape.size)
    }

    /// The address of the word by which the device asks for kicks.
    pub(crate) fn avail_event(&self) -> u64 {
        self.used + 4 + 8 * u64::from(self.shape.size)
    }

    /// Writes the descriptor table and the heads in the available ring; both then stay as they are.
    pub(crate) fn write_tables(&self, ram: &GuestRam) {
        ram.write(self.avail, &vec![0; 6 + 2 * usize::from(self.shape.size)]);
        ram.write(self.used, &vec![0; 6 + 8 * usize::from(self.shape.size)]);
        for at in 0..self.shape.size {
            let last = at % self.shape.chain == self.shape.chain - 1;
            let mut entry = [0; DESC_LEN as usize];
            entry[..8].copy_from_slice(&self.buffer(at).to_le_bytes());
            entry[8..12].copy_from_slice(&self.shape.piece.to_le_bytes());
            entry[12..14].copy_from_slice(&(if last { F_WRITE } else { F_WRITE | F_NEXT }).to_le_bytes());
            entry[14..].copy_from_slice(&(if last { 0 } else { at + 1 }).to_le_bytes());
            ram.write(self.desc + DESC_LEN * u64::from(at), &entry);
            ram.write(self.avail + 4 + 2 * u64::from(at), &self.head_of_slot(at).to_le_bytes());
        }
    }
}
