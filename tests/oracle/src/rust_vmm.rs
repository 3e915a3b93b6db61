//! The same queue by rust-vmm: `virtio-queue` over `vm-memory`.
//!
//! Where it knowingly differs from netrx: it has no `NO_INTERRUPT` flag (without `EVENT_IDX` it wants an interrupt
//! always), it tells nobody apart that a chain breaks a rule (it ends the chain before the descriptor at fault), and
//! it does not make up an interrupt for the first entries after a start. The first and the last are added here; for the
//! second it is only ever given chains that keep the rules.

use std::sync::atomic::Ordering;

use netrx::ring::{Cursor, RingConfig};
use netrx::{Features, Gpa};
use netrx_mock::MockMemory;
use virtio_queue::{Queue as VirtioQueue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::header;
use crate::queue::{Broken, Chain, Popped, Queue};

/// A `virtio_queue::Queue`.
#[derive(Debug)]
pub struct RustVmm {
    memory: GuestMemoryMmap,
    regions: Vec<(Gpa, usize)>,
    queue: VirtioQueue,
    ring: RingConfig,
    event_idx: bool,
    published: u16,
    first: bool,
    scratch: Vec<u8>,
}

/// Why it cannot be set up.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

impl RustVmm {
    /// The queue that `ring` describes, over a copy of `memory`.
    ///
    /// # Errors
    /// When rust-vmm refuses.
    pub fn new(memory: &MockMemory, ring: RingConfig, features: Features) -> Result<Self, Error> {
        let regions = memory.regions().to_vec();
        let ranges: Vec<_> = regions.iter().map(|&(start, len)| (GuestAddress(start.0), len)).collect();
        let mut queue = VirtioQueue::new(ring.size)?;
        queue.try_set_desc_table_address(GuestAddress(ring.desc.0))?;
        queue.try_set_avail_ring_address(GuestAddress(ring.avail.0))?;
        queue.try_set_used_ring_address(GuestAddress(ring.used.0))?;
        queue.set_event_idx(header::event_idx(features));
        queue.set_ready(true);
        let mut this = Self {
            memory: GuestMemoryMmap::from_ranges(&ranges)?,
            regions,
            queue,
            ring,
            event_idx: header::event_idx(features),
            published: 0,
            first: true,
            scratch: Vec::new(),
        };
        for (start, len) in this.regions.clone() {
            this.sync(memory, start, len);
        }
        this.restart(ring.start);
        Ok(this)
    }

    /// Without `EVENT_IDX`, whether the driver wants interrupts.
    fn interrupts_allowed(&self) -> bool {
        let flags: u16 = self.memory.read_obj(GuestAddress(self.ring.avail.0)).unwrap_or_default();
        u16::from_le(flags) & 1 == 0
    }

    fn avail_index(&self) -> u16 {
        self.queue.avail_idx(&self.memory, Ordering::Acquire).map_or(0, |index| index.0)
    }
}

impl Queue for RustVmm {
    fn sync(&mut self, memory: &MockMemory, at: Gpa, len: usize) {
        self.scratch.resize(len, 0);
        let copied = memory.slice(at, len).map(|from| from.copy_to(&mut self.scratch));
        let written = self.memory.write_slice(&self.scratch, GuestAddress(at.0));
        assert!(copied.is_ok() && written.is_ok(), "{len} bytes at {at} are memory");
    }

    fn first_difference(&mut self, memory: &MockMemory) -> Option<Gpa> {
        let mut found = Vec::new();
        for &(start, len) in &self.regions {
            self.scratch.resize(len, 0);
            found.resize(len, 0);
            self.memory.read_slice(&mut self.scratch, GuestAddress(start.0)).ok()?;
            memory.slice(start, len).ok()?.copy_to(&mut found);
            if found != self.scratch {
                let same = found.iter().zip(&self.scratch).take_while(|(found, expected)| found == expected);
                return Some(Gpa(start.0 + same.count() as u64));
            }
        }
        None
    }

    fn look(&mut self) -> Result<bool, Broken> {
        let outstanding = self.avail_index().wrapping_sub(self.queue.next_used());
        if outstanding > self.ring.size { Err(Broken) } else { Ok(self.has_more()) }
    }

    fn pop(&mut self) -> Result<Option<Popped>, Broken> {
        let Some(chain) = self.queue.pop_descriptor_chain(&self.memory) else { return Ok(None) };
        let head = chain.head_index();
        let flags = GuestAddress(self.ring.desc.0 + 16 * u64::from(head) + 12);
        let flags: u16 = self.memory.read_obj(flags).unwrap_or_default();
        let buffers: Vec<_> = chain.writable().map(|buffer| (Gpa(buffer.addr().0), buffer.len())).collect();
        let entries = if u16::from_le(flags) & 4 != 0 { 1 } else { buffers.len() };
        Ok(Some(Popped { head, chain: Some(Chain { buffers, entries }) }))
    }

    fn write(&mut self, at: Gpa, bytes: &[u8]) {
        let written = self.memory.write_slice(bytes, GuestAddress(at.0));
        assert!(bytes.is_empty() || written.is_ok(), "{} bytes at {at} are memory", bytes.len());
    }

    fn complete(&mut self, head: u16, written: u32) {
        let added = self.queue.add_used(&self.memory, head, written);
        assert!(added.is_ok(), "head {head} is in the table");
    }

    fn reject(&mut self, popped: &Popped) {
        self.complete(popped.head, 0);
    }

    fn publish(&mut self) -> bool {
        let before = std::mem::replace(&mut self.published, self.queue.next_used());
        before != self.published
    }

    fn wants_interrupt(&mut self) -> bool {
        let first = std::mem::take(&mut self.first);
        match (self.queue.needs_notification(&self.memory), self.event_idx) {
            (Ok(wanted), true) => wanted || first,
            (Ok(_), false) => self.interrupts_allowed(),
            (Err(_), _) => false,
        }
    }

    fn want_kicks(&mut self, wanted: bool) {
        let set = match wanted {
            true => self.queue.enable_notification(&self.memory).map(drop),
            false => self.queue.disable_notification(&self.memory),
        };
        assert!(set.is_ok(), "the ring is in memory");
    }

    fn has_more(&self) -> bool {
        self.avail_index() != self.queue.next_avail()
    }

    fn size(&self) -> usize {
        usize::from(self.ring.size)
    }

    fn cursor(&self) -> Cursor {
        Cursor { next_avail: self.queue.next_avail(), next_used: self.queue.next_used() }
    }

    fn restart(&mut self, cursor: Cursor) {
        // What it counted towards the next decision goes too.
        let _ = self.queue.needs_notification(&self.memory);
        self.queue.set_next_avail(cursor.next_avail);
        self.queue.set_next_used(cursor.next_used);
        (self.published, self.first) = (cursor.next_used, true);
    }
}
