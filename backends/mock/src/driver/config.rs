//! What a driver posts, and where it puts it.

use netrx::ring::{Cursor, RingConfig};
use netrx::spec::ring::{DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_WRITE};
use netrx::{Features, Gpa};

use super::words::Words;
use crate::MockMemory;

/// Unused bytes between any two things in memory, so that running over one of them shows.
const GAP: u64 = 32;

/// How a driver is set up.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Descriptors in the queue, a power of two.
    pub size: u16,
    /// What it acknowledges.
    pub features: Features,
    /// The shapes of its chains, in turn.
    pub shapes: Vec<Shape>,
    /// Where both rings' indices start, to be near a wrap or after a restore.
    pub start: u16,
}

/// One chain's buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Their lengths in bytes, in the order of the chain.
    pub buffers: Vec<u32>,
    /// Whether their descriptors lie in a table of their own.
    pub indirect: bool,
}

impl Shape {
    /// One buffer.
    #[must_use]
    pub fn single(len: u32) -> Self {
        Self { buffers: vec![len], indirect: false }
    }

    /// Several buffers, one descriptor each.
    #[must_use]
    pub fn chained(lens: &[u32]) -> Self {
        Self { buffers: lens.to_vec(), indirect: false }
    }

    /// Several buffers behind one descriptor.
    #[must_use]
    pub fn indirect(lens: &[u32]) -> Self {
        Self { buffers: lens.to_vec(), indirect: true }
    }

    fn descriptors(&self) -> usize {
        if self.indirect { 1 } else { self.buffers.len() }
    }
}

/// Why a driver cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The buffers do not fit.
    #[error("the mock's memory has no {len} bytes left for the driver: give it more")]
    Memory {
        /// What did not fit, in bytes.
        len: u64,
    },
    /// The queue cannot hold a single chain of this shape.
    #[error("a chain of the shape does not fit a queue of {0} descriptors")]
    Shape(u16),
}

impl DriverConfig {
    /// A queue of `size` with chains of one shape, starting at index 0.
    #[must_use]
    pub fn new(size: u16, features: Features, shape: Shape) -> Self {
        Self { size, features, shapes: vec![shape], start: 0 }
    }

    /// Puts everything in its place: the rings into the first region, buffers into all of them in turn.
    pub(super) fn lay_out(&self, memory: &MockMemory) -> Result<Layout, DriverError> {
        let mut room = Room::new(memory);
        let size = u64::from(self.size);
        let (desc_len, avail_len, used_len) = (16 * size, 6 + 2 * size, 6 + 8 * size);
        let desc = room.take_first(desc_len, 16)?;
        let avail = room.take_first(avail_len, 2)?;
        let used = room.take_first(used_len, 4)?;
        let start = Cursor { next_avail: self.start, next_used: self.start };
        let ring = RingConfig { size: self.size, desc, avail, used, start };
        let mut outside = vec![(desc, desc_len), (avail, avail_len), (used, used_len)];
        let chains = self.plan(&mut room, &mut outside)?;
        Ok(Layout { ring, chains, outside })
    }

    fn plan(&self, room: &mut Room, outside: &mut Vec<(Gpa, u64)>) -> Result<Vec<ChainPlan>, DriverError> {
        let mut chains = Vec::new();
        let mut head = 0;
        for shape in self.shapes.iter().cycle() {
            let next = head + shape.descriptors();
            if next > usize::from(self.size) || shape.buffers.is_empty() {
                break;
            }
            let mut buffers = Vec::with_capacity(shape.buffers.len());
            for &len in &shape.buffers {
                buffers.push((room.take(u64::from(len), 1)?, len));
            }
            let table = match shape.indirect {
                true => Some(room.take((DESC_LEN * buffers.len()) as u64, 16)?),
                false => None,
            };
            outside.extend(table.map(|at| (at, (DESC_LEN * buffers.len()) as u64)));
            chains.push(ChainPlan { head: head as u16, buffers, table });
            head = next;
        }
        if chains.is_empty() { Err(DriverError::Shape(self.size)) } else { Ok(chains) }
    }
}

/// Where everything is.
pub(super) struct Layout {
    pub(super) ring: RingConfig,
    pub(super) chains: Vec<ChainPlan>,
    /// What may change beside the buffers.
    pub(super) outside: Vec<(Gpa, u64)>,
}

/// A chain, for life.
#[derive(Clone, Debug)]
pub(super) struct ChainPlan {
    pub(super) head: u16,
    pub(super) buffers: Vec<(Gpa, u32)>,
    table: Option<Gpa>,
}

impl ChainPlan {
    /// Bytes that a device can write.
    pub(super) fn capacity(&self) -> u64 {
        self.buffers.iter().map(|(_, len)| u64::from(*len)).sum()
    }

    /// Writes its descriptors.
    pub(super) fn write(&self, memory: &MockMemory, words: &Words<'_>) {
        let first = if self.table.is_some() { 0 } else { self.head };
        let last = self.buffers.len() - 1;
        for (index, &(at, len)) in self.buffers.iter().enumerate() {
            let next = first + index as u16 + 1;
            let flags = if index == last { DESC_WRITE } else { DESC_WRITE | DESC_NEXT };
            let descriptor = descriptor(at, len, flags, if index == last { 0 } else { next });
            match self.table {
                None => words.set_descriptor(first + index as u16, descriptor),
                Some(table) => write_entry(memory, table, index, descriptor),
            }
        }
        if let Some(table) = self.table {
            let len = (DESC_LEN * self.buffers.len()) as u32;
            words.set_descriptor(self.head, descriptor(table, len, DESC_INDIRECT, 0));
        }
    }
}

/// The two words of a descriptor.
pub(super) fn descriptor(at: Gpa, len: u32, flags: u16, next: u16) -> [u64; 2] {
    [at.0, u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48]
}

/// Writes entry `index` of an indirect table, if it is in memory.
pub(super) fn write_entry(memory: &MockMemory, table: Gpa, index: usize, descriptor: [u64; 2]) {
    let at = Gpa(table.0 + (DESC_LEN * index) as u64);
    if let Ok(entry) = memory.slice(at, DESC_LEN) {
        entry.copy_from(&descriptor[0].to_le_bytes());
        entry.skip(8).copy_from(&descriptor[1].to_le_bytes());
    }
}

/// What is left of the memory.
struct Room {
    regions: Vec<(u64, u64)>,
    turn: usize,
}

impl Room {
    fn new(memory: &MockMemory) -> Self {
        let regions = memory.regions().iter().map(|&(start, len)| (start.0, start.0 + len as u64)).collect();
        Self { regions, turn: 0 }
    }

    fn take_first(&mut self, len: u64, align: u64) -> Result<Gpa, DriverError> {
        self.take_from(0, len, align).ok_or(DriverError::Memory { len })
    }

    /// From the region whose turn it is, or else from any.
    fn take(&mut self, len: u64, align: u64) -> Result<Gpa, DriverError> {
        self.turn += 1;
        let regions = self.regions.len();
        let turns = (self.turn..self.turn + regions).map(|turn| turn % regions);
        turns
            .into_iter()
            .find_map(|region| self.take_from(region, len, align))
            .ok_or(DriverError::Memory { len })
    }

    fn take_from(&mut self, region: usize, len: u64, align: u64) -> Option<Gpa> {
        let (next, end) = self.regions.get_mut(region)?;
        let at = (*next + GAP).next_multiple_of(align);
        let after = at.checked_add(len)?;
        (after <= *end).then(|| {
            *next = after;
            Gpa(at)
        })
    }
}
