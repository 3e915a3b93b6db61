//! Walking a descriptor chain that the guest wrote (sections 2.7.5 and 2.7.5.3).
//!
//! Every descriptor is read once, and every field of it is checked before it is used. A chain that breaks a rule is a
//! [`ChainFault`]: the guest's doing, never an error of the host.

use super::areas::Areas;
use super::pool::{ChainBuilder, Pool};
use crate::mem::{Gpa, GuestMemory, GuestRun, MemoryError, Translator};
use crate::spec::ring::{DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_WRITE, desc};

/// What is wrong with a chain that the guest made available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// Its head is not in the descriptor table.
    #[error("the head is not in the descriptor table")]
    HeadOutside,
    /// Its head was made available before and has not been used yet.
    #[error("the head is already in flight")]
    Duplicate,
    /// A descriptor names a next one that is not in its table.
    #[error("descriptor {0} is not in its table")]
    NextOutside(u16),
    /// It has more descriptors than the queue's size: a loop, or near enough.
    #[error("the chain is longer than the queue")]
    TooLong,
    /// A buffer is for the device to read; a receive queue has only buffers to write.
    #[error("a buffer is not writable by the device")]
    ReadOnly,
    /// A buffer is for the device to write; a transmit queue has only buffers to read.
    #[error("a buffer is not readable by the device")]
    WriteOnly,
    /// An indirect table without the feature, within another, with a successor, or of a senseless length.
    #[error("an indirect table is not allowed here, or its length makes no sense")]
    Indirect,
    /// A buffer or a table is not in guest memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// It is too short for a frame of any length.
    #[error("the chain holds only {0} bytes")]
    TooShort(usize),
}

/// A descriptor, read once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) at: Gpa,
    pub(super) len: u32,
    pub(super) flags: u16,
    pub(super) next: u16,
}

impl Descriptor {
    /// Reads entry `index` of a table, if it has one.
    #[inline(always)]
    pub(super) fn load(table: &GuestRun<'_, DESC_LEN>, index: u16) -> Option<Self> {
        let index = usize::from(index);
        Some(Self {
            at: Gpa(table.load::<u64, { desc::ADDR }>(index)?),
            len: table.load::<u32, { desc::LEN }>(index)?,
            flags: table.load::<u16, { desc::FLAGS }>(index)?,
            next: table.load::<u16, { desc::NEXT }>(index)?,
        })
    }

    /// From the two words of an indirect table's entry.
    fn from_words([at, rest]: [u64; 2]) -> Self {
        Self { at: Gpa(at), len: rest as u32, flags: (rest >> 32) as u16, next: (rest >> 48) as u16 }
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// How the ring knows a chain that it popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Popped {
    /// Its head.
    pub(crate) id: u16,
    /// Where it stood among the available ones: a free-running index.
    pub(crate) position: u16,
}

/// What the device does with the buffers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It writes frames into them: a receive queue.
    Write,
    /// It reads frames out of them: a transmit queue.
    Read,
}

impl Access {
    /// Whether a buffer allows it.
    fn check(self, buffer: &Descriptor) -> Result<(), ChainFault> {
        match (self, buffer.has(DESC_WRITE)) {
            (Self::Write, true) | (Self::Read, false) => Ok(()),
            (Self::Write, false) => Err(ChainFault::ReadOnly),
            (Self::Read, true) => Err(ChainFault::WriteOnly),
        }
    }
}

/// What a walk needs, and what a chain must keep to.
pub(super) struct Walk<'w, 't, M: ?Sized> {
    pub(super) areas: &'w Areas<'t>,
    pub(super) memory: &'w mut Translator<'t, M>,
    pub(super) size: u16,
    /// Whether indirect tables are allowed.
    pub(super) indirect: bool,
    pub(super) access: Access,
    /// The shortest chain that is of use, in bytes.
    pub(super) min_chain: usize,
    /// How many descriptors may still be looked at; a chain that was begun is walked to its end all the same.
    pub(super) fuel: &'w mut u32,
}

impl<M: GuestMemory + ?Sized> Walk<'_, '_, M> {
    /// Walks a chain from its head, and adds it to the pool if all of it is well.
    pub(super) fn into_pool(self, pool: &mut Pool, popped: Popped) -> Result<(), ChainFault> {
        let mut chain = pool.begin();
        let mut steps =
            Steps { left: self.size, size: self.size, entries: 1, indirect: None, allowed: self.indirect };
        let table = self.areas.table();
        let mut descriptor = Descriptor::load(&table, popped.id).ok_or(ChainFault::HeadOutside)?;
        loop {
            if descriptor.has(DESC_INDIRECT) {
                descriptor = steps.enter(&descriptor, self.memory)?;
                continue;
            }
            steps.count()?;
            *self.fuel = self.fuel.saturating_sub(1);
            self.access.check(&descriptor)?;
            add_runs(&descriptor, self.memory, &mut chain)?;
            if !descriptor.has(DESC_NEXT) {
                break;
            }
            descriptor = match steps.next(descriptor.next)? {
                None => {
                    let outside = ChainFault::NextOutside(descriptor.next);
                    Descriptor::load(&table, descriptor.next).ok_or(outside)?
                }
                Some(table) => read_entry(table, descriptor.next, self.memory)?,
            };
        }
        match chain.capacity() {
            short if short < self.min_chain => Err(ChainFault::TooShort(short)),
            _ => {
                chain.finish(popped, steps.entries);
                Ok(())
            }
        }
    }
}

/// Where the walk is: how many descriptors it may still see, and in which table.
struct Steps {
    left: u16,
    size: u16,
    /// How many descriptors of the queue's own table it has seen.
    entries: u16,
    indirect: Option<(Gpa, u16)>,
    allowed: bool,
}

impl Steps {
    #[inline(always)]
    fn count(&mut self) -> Result<(), ChainFault> {
        self.left = self.left.checked_sub(1).ok_or(ChainFault::TooLong)?;
        Ok(())
    }

    /// Enters the table that `descriptor` names, and reads its first entry.
    #[cold]
    fn enter<'m, M: GuestMemory + ?Sized>(
        &mut self,
        descriptor: &Descriptor,
        memory: &mut Translator<'m, M>,
    ) -> Result<Descriptor, ChainFault> {
        let len = descriptor.len as usize;
        let entries = len / DESC_LEN;
        let whole = len.is_multiple_of(DESC_LEN) && (1..=usize::from(self.size)).contains(&entries);
        if !self.allowed || self.indirect.is_some() || descriptor.has(DESC_NEXT) || !whole {
            return Err(ChainFault::Indirect);
        }
        self.indirect = Some((descriptor.at, entries as u16));
        read_entry(descriptor.at, 0, memory)
    }

    /// Goes on to entry `index`; says of which indirect table, unless it is of the queue's own.
    #[inline(always)]
    fn next(&mut self, index: u16) -> Result<Option<Gpa>, ChainFault> {
        match self.indirect {
            Some((table, entries)) if index < entries => Ok(Some(table)),
            None if index < self.size => {
                self.entries += 1;
                Ok(None)
            }
            _ => Err(ChainFault::NextOutside(index)),
        }
    }
}

/// Reads entry `index` of an indirect table, which need not be aligned nor lie in one region.
#[inline(never)]
fn read_entry<M: GuestMemory + ?Sized>(
    table: Gpa,
    index: u16,
    memory: &mut Translator<'_, M>,
) -> Result<Descriptor, ChainFault> {
    let offset = u64::from(index) * DESC_LEN as u64;
    let at = table.checked_add(offset).ok_or(MemoryError::Overflow { at: table, len: offset })?;
    let (mut first, mut second) = ([0; 8], [0; 8]);
    memory.read(at, &mut first)?;
    memory.read(Gpa(at.0.wrapping_add(8)), &mut second)?;
    Ok(Descriptor::from_words([first, second].map(u64::from_le_bytes)))
}

/// Adds each host run of a buffer; all of it must be backed.
#[inline(always)]
fn add_runs<M: GuestMemory + ?Sized>(
    buffer: &Descriptor,
    memory: &mut Translator<'_, M>,
    chain: &mut ChainBuilder<'_>,
) -> Result<(), ChainFault> {
    match memory.remembered().get(buffer.at, buffer.len) {
        Some(run) => {
            chain.add(buffer.at, run);
            Ok(())
        }
        None => add_scattered(buffer, memory, chain),
    }
}

/// Adds the host runs of a buffer that is not in the region that was looked up last.
#[cold]
fn add_scattered<M: GuestMemory + ?Sized>(
    buffer: &Descriptor,
    memory: &mut Translator<'_, M>,
    chain: &mut ChainBuilder<'_>,
) -> Result<(), ChainFault> {
    let len = u64::from(buffer.len);
    let end = buffer.at.checked_add(len).ok_or(MemoryError::Overflow { at: buffer.at, len })?;
    let mut at = buffer.at;
    while at < end {
        let run = memory.run(at, (end.0 - at.0) as usize)?;
        chain.add(at, run);
        at = Gpa(at.0 + run.len() as u64);
    }
    Ok(())
}
