//! A split queue, written straight from the specification: no batching, no caching, nothing kept that can be looked up.

use netrx::ring::{Cursor, RingConfig};
use netrx::{Features, Gpa};
use netrx_mock::MockMemory;

use crate::queue::{Broken, Chain, Popped, Queue};
use crate::{Image, header};

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// The queue of the reference model.
#[derive(Debug)]
pub struct NaiveQueue {
    image: Image,
    ring: RingConfig,
    features: Features,
    next_avail: u16,
    next_used: u16,
    /// The driver's index at the last look.
    seen: u16,
    /// The used index at the last decision about an interrupt.
    decided: Option<u16>,
    published: u16,
    /// By head.
    heads: Vec<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Free,
    Popped,
    /// Completed, and the driver cannot know.
    Completed,
}

#[derive(Clone, Copy)]
struct Descriptor {
    at: u64,
    len: u32,
    flags: u16,
    next: u16,
}

impl NaiveQueue {
    /// The queue that `ring` describes, over a copy of `memory`.
    #[must_use]
    pub fn new(memory: &MockMemory, ring: RingConfig, features: Features) -> Self {
        let mut queue = Self {
            image: Image::of(memory),
            ring,
            features,
            next_avail: 0,
            next_used: 0,
            seen: 0,
            decided: None,
            published: 0,
            heads: Vec::new(),
        };
        queue.restart(ring.start);
        queue
    }

    fn modulus(&self) -> u64 {
        u64::from(self.ring.size)
    }

    fn word(&self, at: u64) -> u16 {
        self.image.read(at).map_or(0, u16::from_le_bytes)
    }

    fn set_word(&mut self, at: u64, word: u16) {
        self.image.write(at, &word.to_le_bytes());
    }

    fn write_used(&mut self, head: u16, written: u32) {
        let at = self.ring.used.0 + 4 + 8 * (u64::from(self.next_used) % self.modulus());
        self.image.write(at, &u32::from(head).to_le_bytes());
        self.image.write(at + 4, &written.to_le_bytes());
        self.next_used = self.next_used.wrapping_add(1);
    }

    fn descriptor(&self, table: u64, index: u16) -> Option<Descriptor> {
        let at = table.checked_add(16 * u64::from(index))?;
        let bytes: [u8; 16] = self.image.read(at)?;
        let [b0, b1, b2, b3, b4, b5, b6, b7, l0, l1, l2, l3, f0, f1, n0, n1] = bytes;
        Some(Descriptor {
            at: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            flags: u16::from_le_bytes([f0, f1]),
            next: u16::from_le_bytes([n0, n1]),
        })
    }

    fn chain(&self, head: u16) -> Option<Chain> {
        if *self.heads.get(usize::from(head))? != Head::Free {
            return None;
        }
        let mut chain = Chain::default();
        let (mut table, mut size, mut index, mut inside) = (self.ring.desc.0, self.ring.size, head, false);
        loop {
            if index >= size {
                return None;
            }
            let descriptor = self.descriptor(table, index)?;
            chain.entries += usize::from(!inside);
            if descriptor.flags & INDIRECT != 0 {
                let entries = self.table_entries(descriptor).filter(|_| !inside)?;
                (table, size, index, inside) = (descriptor.at, entries, 0, true);
                continue;
            }
            let too_long = chain.buffers.len() == usize::from(self.ring.size);
            let unwritable = descriptor.flags & WRITE == 0;
            if too_long || unwritable || !self.image.holds(descriptor.at, u64::from(descriptor.len)) {
                return None;
            }
            chain.buffers.push((Gpa(descriptor.at), descriptor.len));
            if descriptor.flags & NEXT == 0 {
                return Some(chain);
            }
            index = descriptor.next;
        }
    }

    /// How many entries an indirect table has, if it may be one.
    fn table_entries(&self, descriptor: Descriptor) -> Option<u16> {
        let entries = descriptor.len / 16;
        let whole = descriptor.len.is_multiple_of(16) && entries >= 1 && entries <= u32::from(self.ring.size);
        let allowed = header::indirect(self.features) && descriptor.flags & NEXT == 0;
        (whole && allowed).then_some(entries as u16)
    }
}

impl Queue for NaiveQueue {
    fn sync(&mut self, memory: &MockMemory, at: Gpa, len: usize) {
        self.image.fetch(memory, at, len);
    }

    fn first_difference(&mut self, memory: &MockMemory) -> Option<Gpa> {
        self.image.first_difference(memory)
    }

    fn look(&mut self) -> Result<bool, Broken> {
        let index = self.word(self.ring.avail.0 + 2);
        let outstanding = index.wrapping_sub(self.next_used);
        let popped = self.next_avail.wrapping_sub(self.next_used);
        if outstanding > self.ring.size || outstanding < popped {
            return Err(Broken);
        }
        self.seen = index;
        Ok(index != self.next_avail)
    }

    fn pop(&mut self) -> Result<Option<Popped>, Broken> {
        if self.next_avail == self.seen && !self.look()? {
            return Ok(None);
        }
        let head = self.word(self.ring.avail.0 + 4 + 2 * (u64::from(self.next_avail) % self.modulus()));
        self.next_avail = self.next_avail.wrapping_add(1);
        let chain = self.chain(head);
        let after = if chain.is_some() { Head::Popped } else { Head::Completed };
        if let Some(head) = self.heads.get_mut(usize::from(head)).filter(|head| **head == Head::Free) {
            *head = after;
        }
        Ok(Some(Popped { head, chain }))
    }

    fn write(&mut self, at: Gpa, bytes: &[u8]) {
        self.image.write(at.0, bytes);
    }

    fn complete(&mut self, head: u16, written: u32) {
        self.heads[usize::from(head)] = Head::Completed;
        self.write_used(head, written);
    }

    fn reject(&mut self, popped: &Popped) {
        if popped.chain.is_some() {
            self.heads[usize::from(popped.head)] = Head::Completed;
        }
        self.write_used(popped.head, 0);
    }

    fn publish(&mut self) -> bool {
        let news = self.published != self.next_used;
        if news {
            self.published = self.next_used;
            self.set_word(self.ring.used.0 + 2, self.next_used);
            let completed = self.heads.iter_mut().filter(|head| **head == Head::Completed);
            completed.for_each(|head| *head = Head::Free);
        }
        news
    }

    fn wants_interrupt(&mut self) -> bool {
        let now = self.published;
        let before = self.decided.replace(now);
        if before == Some(now) {
            return false;
        }
        if !header::event_idx(self.features) {
            return self.word(self.ring.avail.0) & 1 == 0;
        }
        // The first entries of a queue are always told of: nobody knows what the driver was told before.
        let Some(before) = before else { return true };
        let event = self.word(self.ring.avail.0 + 4 + 2 * self.modulus());
        let entries = now.wrapping_sub(before);
        (0..entries).any(|entry| before.wrapping_add(entry) == event)
    }

    fn want_kicks(&mut self, wanted: bool) {
        match (header::event_idx(self.features), wanted) {
            (true, true) => self.set_word(self.ring.used.0 + 4 + 8 * self.modulus(), self.next_avail),
            (true, false) => {}
            (false, wanted) => self.set_word(self.ring.used.0, u16::from(!wanted)),
        }
    }

    fn has_more(&self) -> bool {
        self.word(self.ring.avail.0 + 2) != self.next_avail
    }

    fn size(&self) -> usize {
        usize::from(self.ring.size)
    }

    fn cursor(&self) -> Cursor {
        Cursor { next_avail: self.next_avail, next_used: self.next_used }
    }

    fn restart(&mut self, cursor: Cursor) {
        (self.next_avail, self.next_used) = (cursor.next_avail, cursor.next_used);
        (self.seen, self.published, self.decided) = (cursor.next_avail, cursor.next_used, None);
        self.heads = vec![Head::Free; usize::from(self.ring.size)];
    }
}
