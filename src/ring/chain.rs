//! Walking a descriptor chain that the guest wrote (sections 2.7.5 and 2.7.5.3).
//!
//! Every descriptor is read once, and every field of it is checked before it is used. A chain that breaks a rule is a
//! [`ChainFault`]: the guest's doing, never an error of the host.

use crate::mem::{Gpa, GuestArray, GuestMemory, MemoryError, Translator};
use crate::space::{Pool, Popped};
use crate::spec::ring::{DESC_INDIRECT, DESC_LEN, DESC_NEXT, DESC_WRITE};
use crate::sync::Ordering;

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
    /// From the two words of its memory layout.
    #[inline(always)]
    pub(super) fn from_words(at: u64, rest: u64) -> Self {
        Self { at: Gpa(at), len: rest as u32, flags: (rest >> 32) as u16, next: (rest >> 48) as u16 }
    }

    /// Whether it is a buffer for the device to write, and all of its chain.
    #[inline(always)]
    pub(super) fn is_single(&self) -> bool {
        self.flags == DESC_WRITE
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Reads entry `index` of the queue's own table.
#[inline(always)]
pub(super) fn load(table: &GuestArray<'_, u64>, index: u16) -> Descriptor {
    let first = 2 * usize::from(index);
    Descriptor::from_words(table.load(first, Ordering::Relaxed), table.load(first + 1, Ordering::Relaxed))
}

/// Walks the chain that begins with `head`, and adds it to the pool if all of it is well.
pub(super) fn walk<'m, M: GuestMemory + ?Sized>(
    table: &GuestArray<'m, u64>,
    head: Descriptor,
    memory: &mut Translator<'m, M>,
    pool: &mut Pool,
    rules: &WalkRules,
    popped: Popped,
) -> Result<(), ChainFault> {
    let mut chain = pool.begin();
    let mut steps = Steps { left: rules.size, indirect: None, allowed: rules.indirect };
    let mut descriptor = head;
    loop {
        if descriptor.has(DESC_INDIRECT) {
            descriptor = steps.enter(&descriptor, rules.size, memory)?;
            continue;
        }
        steps.count()?;
        if !descriptor.has(DESC_WRITE) {
            return Err(ChainFault::ReadOnly);
        }
        add_runs(&descriptor, memory, |at, run| chain.add(at, run))?;
        if !descriptor.has(DESC_NEXT) {
            break;
        }
        descriptor = steps.next(descriptor.next, table, memory)?;
    }
    match chain.capacity() {
        short if short < rules.min_chain => Err(ChainFault::TooShort(short)),
        _ => {
            chain.finish(popped);
            Ok(())
        }
    }
}

/// What a chain must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkRules {
    pub(super) size: u16,
    pub(super) indirect: bool,
    pub(super) min_chain: usize,
}

/// Where the walk is: how many descriptors it may still see, and in which table.
struct Steps {
    left: u16,
    indirect: Option<(Gpa, u16)>,
    allowed: bool,
}

impl Steps {
    fn count(&mut self) -> Result<(), ChainFault> {
        self.left = self.left.checked_sub(1).ok_or(ChainFault::TooLong)?;
        Ok(())
    }

    /// Enters the table that `descriptor` names, and reads its first entry.
    fn enter<'m, M: GuestMemory + ?Sized>(
        &mut self,
        descriptor: &Descriptor,
        size: u16,
        memory: &mut Translator<'m, M>,
    ) -> Result<Descriptor, ChainFault> {
        let len = descriptor.len as usize;
        let entries = len / DESC_LEN;
        let whole = len.is_multiple_of(DESC_LEN) && (1..=usize::from(size)).contains(&entries);
        if !self.allowed || self.indirect.is_some() || descriptor.has(DESC_NEXT) || !whole {
            return Err(ChainFault::Indirect);
        }
        self.indirect = Some((descriptor.at, entries as u16));
        read_entry(descriptor.at, 0, memory)
    }

    fn next<'m, M: GuestMemory + ?Sized>(
        &self,
        index: u16,
        table: &GuestArray<'m, u64>,
        memory: &mut Translator<'m, M>,
    ) -> Result<Descriptor, ChainFault> {
        match self.indirect {
            Some((at, entries)) if index < entries => read_entry(at, index, memory),
            None if usize::from(index) * 2 < table.len() => Ok(load(table, index)),
            _ => Err(ChainFault::NextOutside(index)),
        }
    }
}

/// Reads entry `index` of an indirect table, which need not be aligned nor lie in one region.
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
    Ok(Descriptor::from_words(u64::from_le_bytes(first), u64::from_le_bytes(second)))
}

/// Calls `add` with each host run of a buffer; all of it must be backed.
fn add_runs<'m, M: GuestMemory + ?Sized>(
    buffer: &Descriptor,
    memory: &mut Translator<'m, M>,
    mut add: impl FnMut(Gpa, crate::mem::GuestSlice<'m>),
) -> Result<(), ChainFault> {
    let len = u64::from(buffer.len);
    let end = buffer.at.checked_add(len).ok_or(MemoryError::Overflow { at: buffer.at, len })?;
    let mut at = buffer.at;
    while at < end {
        let run = memory.run(at, (end.0 - at.0) as usize)?;
        add(at, run);
        at = Gpa(at.0 + run.len() as u64);
    }
    Ok(())
}
