//! The guest's driver: posts buffers, takes them back, and asks for interrupts and gives kicks by EVENT_IDX.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::{GuestRam, HEADER_LEN, Layout, Shape, passes_event, plain_header};
use crate::Result;

/// A buffer that came back: the head of its chain and the bytes written.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) head: u16,
    pub(crate) len: u32,
}

/// A driver with one receive queue, in guest memory of its own.
pub(crate) struct Driver {
    ram: Arc<GuestRam>,
    layout: Layout,
    avail: u16,
    published: u16,
    seen: u16,
}

impl Driver {
    /// A guest of its own with a ring of this shape, nothing posted yet.
    pub(crate) fn new(shape: Shape) -> Result<Self> {
        Ok(Self::seated(Layout::memory(shape)?, shape, 0))
    }

    /// One of several drivers in the same memory, with rings of this shape over the same buffers.
    pub(crate) fn seated(ram: Arc<GuestRam>, shape: Shape, seat: u64) -> Self {
        let layout = Layout::new(shape, seat);
        layout.write_tables(&ram);
        Self { ram, layout, avail: 0, published: 0, seen: 0 }
    }

    /// Overwrites all buffers with what no frame is made of.
    pub(crate) fn scribble(&self) {
        let junk = vec![0x5a; self.layout.shape.piece as usize];
        for at in 0..self.layout.shape.size {
            self.ram.write(self.layout.buffer(at), &junk);
        }
    }

    /// The guest's memory.
    pub(crate) fn ram(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    /// Where the ring is.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Posts `heads` buffers again, which stayed in their slots, and asks for one interrupt at the next used
    /// one.
    pub(crate) fn post(&mut self, heads: u16) {
        self.avail = self.avail.wrapping_add(heads);
        self.published = self.avail;
        self.ram.store_u16(self.layout.used_event(), self.seen);
        self.ram.store_u16(self.layout.avail + 2, self.avail);
    }

    /// Takes `heads` used buffers at once; fails unless exactly these have come back.
    pub(crate) fn collect(&mut self, heads: u16) -> Result<()> {
        let used = self.ram.load_u16(self.layout.used + 2);
        if used.wrapping_sub(self.seen) != heads {
            return Err(format!("{} of {heads} buffers came back", used.wrapping_sub(self.seen)).into());
        }
        self.seen = used;
        Ok(())
    }

    /// Counts `heads` buffers as taken, for subjects without a ring.
    pub(crate) fn skip(&mut self, heads: u16) {
        self.seen = self.seen.wrapping_add(heads);
    }

    /// Takes the next used buffer, if there is one.
    pub(crate) fn take(&mut self) -> Option<Used> {
        if self.ram.load_u16(self.layout.used + 2) == self.seen {
            return None;
        }
        let used = self.used_at(self.seen);
        self.seen = self.seen.wrapping_add(1);
        Some(used)
    }

    /// Puts a buffer back into the available ring; [`Self::publish`] shows it to the device.
    pub(crate) fn put(&mut self, head: u16) {
        let slot = self.avail % self.layout.shape.size;
        self.ram.write(self.layout.avail + 4 + 2 * u64::from(slot), &head.to_le_bytes());
        self.avail = self.avail.wrapping_add(1);
    }

    /// Shows the device what was put, and says whether the device wants to be kicked for it.
    pub(crate) fn publish(&mut self) -> bool {
        let old = std::mem::replace(&mut self.published, self.avail);
        self.ram.store_u16(self.layout.avail + 2, self.avail);
        fence(Ordering::SeqCst);
        passes_event(self.ram.load_u16(self.layout.avail_event()), self.avail, old)
    }

    /// Asks for an interrupt at the next used buffer, and says whether one has come back already.
    pub(crate) fn arm(&self) -> bool {
        self.ram.store_u16(self.layout.used_event(), self.seen);
        fence(Ordering::SeqCst);
        self.ram.load_u16(self.layout.used + 2) != self.seen
    }

    /// Checks, byte for byte, that the `spans` buffers taken from `back` ago on hold a header and `frame`;
    /// `has_ring` is false for subjects that fill no used ring.
    pub(crate) fn verify_taken(&self, back: u16, spans: u16, frame: &[u8], has_ring: bool) -> Result<()> {
        let mut bytes = Vec::with_capacity(frame.len() + HEADER_LEN);
        let mut missing = frame.len() + HEADER_LEN;
        for at in 0..spans {
            let index = self.seen.wrapping_sub(back).wrapping_add(at);
            let expected =
                missing.min(self.layout.shape.piece as usize * usize::from(self.layout.shape.chain));
            let head = self.layout.head_of_slot(index % self.layout.shape.size);
            if has_ring {
                check_used(self.used_at(index), head, expected)?;
            }
            self.read_chain(head, expected, &mut bytes);
            missing -= expected;
        }
        if bytes[..HEADER_LEN] != plain_header(spans) {
            return Err(format!("header {:02x?} is not that of {spans} buffers", &bytes[..HEADER_LEN]).into());
        }
        if bytes[HEADER_LEN..] != *frame {
            return Err("a frame arrived changed".into());
        }
        Ok(())
    }

    /// Appends the first `len` bytes of a chain.
    fn read_chain(&self, head: u16, len: usize, out: &mut Vec<u8>) {
        let piece = self.layout.shape.piece as usize;
        for (link, start) in (0..).zip((0..len).step_by(piece)) {
            let at = out.len();
            out.resize(at + piece.min(len - start), 0);
            self.ram.read(self.layout.buffer(head + link), &mut out[at..]);
        }
    }

    fn used_at(&self, index: u16) -> Used {
        let slot = u64::from(index % self.layout.shape.size);
        let mut entry = [0; 8];
        self.ram.read(self.layout.used + 4 + 8 * slot, &mut entry);
        let [a, b, _, _, len @ ..] = entry;
        Used { head: u16::from_le_bytes([a, b]), len: u32::from_le_bytes(len) }
    }
}

fn check_used(used: Used, head: u16, len: usize) -> Result<()> {
    if used.head == head && used.len as usize == len {
        return Ok(());
    }
    Err(format!("used entry ({}, {}) instead of ({head}, {len})", used.head, used.len).into())
}
