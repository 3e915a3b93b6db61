//! A split ring's words in host memory (section 2.7).

use super::chain::Descriptor;
use super::{RingConfig, RingError};
use crate::mem::{Gpa, GuestArray, GuestMemory, GuestRing, MemoryError, Translator};
use crate::sync::Ordering;

/// Both rings begin with two words of 16 bits: flags and index.
mod header {
    pub(super) const FLAGS: usize = 0;
    pub(super) const INDEX: usize = 1;
    pub(super) const WORDS: usize = 2;
    /// Its bytes, before the entries.
    pub(super) const LEN: u64 = 4;
}

/// Bytes of an entry of the available ring.
const AVAIL_ENTRY: u64 = 2;
/// Bytes of an entry of the used ring.
const USED_ENTRY: u64 = 8;

/// A split ring's words in host memory, for the length of a turn.
#[derive(Debug)]
pub(super) struct Areas<'t> {
    table: GuestRing<'t, u64, 2>,
    avail: GuestArray<'t, u16>,
    avail_entries: GuestRing<'t, u16, 1>,
    used_event: GuestArray<'t, u16>,
    used: GuestArray<'t, u16>,
    used_entries: GuestRing<'t, u32, 2>,
    avail_event: GuestArray<'t, u16>,
}

impl<'t> Areas<'t> {
    pub(super) fn map<M: GuestMemory + ?Sized>(
        config: &RingConfig,
        memory: &mut Translator<'t, M>,
    ) -> Result<Self, RingError> {
        let RingConfig { size, desc, avail, used, .. } = *config;
        let behind = |at: Gpa, len| at.checked_add(len).ok_or(MemoryError::Overflow { at, len });
        let used_event = behind(avail, header::LEN + AVAIL_ENTRY * u64::from(size))?;
        let avail_event = behind(used, header::LEN + USED_ENTRY * u64::from(size))?;
        Ok(Self {
            table: GuestRing::new(memory, desc, size)?,
            avail: GuestArray::new(memory, avail, header::WORDS)?,
            avail_entries: GuestRing::new(memory, behind(avail, header::LEN)?, size)?,
            used_event: GuestArray::new(memory, used_event, 1)?,
            used: GuestArray::new(memory, used, header::WORDS)?,
            used_entries: GuestRing::new(memory, behind(used, header::LEN)?, size)?,
            avail_event: GuestArray::new(memory, avail_event, 1)?,
        })
    }

    /// Entry `index` of the descriptor table; the index is one of the table's.
    #[inline(always)]
    pub(super) fn descriptor(&self, index: u16) -> Descriptor {
        Descriptor::from_words(self.table.load(index))
    }

    /// The driver's index; what it made available before is visible after.
    pub(super) fn avail_index(&self, order: Ordering) -> u16 {
        self.avail.load(header::INDEX, order)
    }

    /// The head that was made available at `position`.
    #[inline(always)]
    pub(super) fn avail_entry(&self, position: u16) -> u16 {
        let [head] = self.avail_entries.load(position);
        head
    }

    pub(super) fn avail_flags(&self) -> u16 {
        self.avail.load(header::FLAGS, Ordering::Relaxed)
    }

    pub(super) fn used_event(&self) -> u16 {
        self.used_event.load(0, Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn write_used(&self, position: u16, id: u16, written: u32) {
        self.used_entries.store(position, [u32::from(id), written]);
    }

    /// Shows the driver all used entries before `index`.
    pub(super) fn publish(&self, index: u16) {
        self.used.store(header::INDEX, index, Ordering::Release);
    }

    pub(super) fn set_used_flags(&self, flags: u16) {
        self.used.store(header::FLAGS, flags, Ordering::Relaxed);
    }

    pub(super) fn set_avail_event(&self, index: u16) {
        self.avail_event.store(0, index, Ordering::Relaxed);
    }
}
