//! A split ring's words in host memory (section 2.7).

use super::chain::Descriptor;
use super::{RingConfig, RingError};
use crate::mem::{Gpa, GuestArray, GuestMemory, GuestRing, MemoryError, Translator};
use crate::spec::ring::DESC_LEN;
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
const AVAIL_ENTRY: usize = 2;
/// Bytes of an entry of the used ring.
const USED_ENTRY: usize = 8;

/// A split ring's words in host memory, for the length of a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Areas<'t> {
    table: GuestRing<'t, DESC_LEN>,
    avail: GuestArray<'t, u16>,
    avail_entries: GuestRing<'t, AVAIL_ENTRY>,
    used_event: GuestArray<'t, u16>,
    used: GuestArray<'t, u16>,
    used_entries: GuestRing<'t, USED_ENTRY>,
    avail_event: GuestArray<'t, u16>,
}

impl<'t> Areas<'t> {
    pub(super) fn map<M: GuestMemory + ?Sized>(
        config: &RingConfig,
        memory: &mut Translator<'t, M>,
    ) -> Result<Self, RingError> {
        let RingConfig { size, desc, avail, used, .. } = *config;
        let behind = |at: Gpa, len| at.checked_add(len).ok_or(MemoryError::Overflow { at, len });
        let used_event = behind(avail, header::LEN + AVAIL_ENTRY as u64 * u64::from(size))?;
        let avail_event = behind(used, header::LEN + USED_ENTRY as u64 * u64::from(size))?;
        Ok(Self {
            table: GuestRing::new::<u64, _>(memory, desc, size)?,
            avail: GuestArray::new(memory, avail, header::WORDS)?,
            avail_entries: GuestRing::new::<u16, _>(memory, behind(avail, header::LEN)?, size)?,
            used_event: GuestArray::new(memory, used_event, 1)?,
            used: GuestArray::new(memory, used, header::WORDS)?,
            used_entries: GuestRing::new::<u32, _>(memory, behind(used, header::LEN)?, size)?,
            avail_event: GuestArray::new(memory, avail_event, 1)?,
        })
    }

    /// Where the avail_event of a used ring at `used` is.
    pub(super) fn avail_event_at(used: Gpa, size: u16) -> Gpa {
        Gpa(used.0.wrapping_add(header::LEN + USED_ENTRY as u64 * u64::from(size)))
    }

    /// Calls `written` with what is written of the used ring when `count` entries from `from` on are published.
    pub(super) fn for_each_used(
        config: &RingConfig,
        from: u16,
        count: u16,
        mut written: impl FnMut(Gpa, u32),
    ) {
        let RingConfig { used, size, .. } = *config;
        written(used, header::LEN as u32);
        let first = u32::from(from & (size - 1));
        let before_wrap = u32::from(count).min(u32::from(size) - first);
        let entry = USED_ENTRY as u32;
        let at = |slot: u32| Gpa(used.0.wrapping_add(header::LEN + u64::from(slot * entry)));
        written(at(first), before_wrap * entry);
        written(at(0), (u32::from(count) - before_wrap) * entry);
    }

    /// Entry `index` of the descriptor table; the index is one of the table's.
    #[inline(always)]
    pub(super) fn descriptor(&self, index: usize) -> Descriptor {
        let rest = self.table.load::<u32, 12>(index);
        Descriptor {
            at: Gpa(self.table.load::<u64, 0>(index)),
            len: self.table.load::<u32, 8>(index),
            flags: rest as u16,
            next: (rest >> 16) as u16,
        }
    }

    /// The driver's index; what it made available before is visible after.
    pub(super) fn avail_index(&self, order: Ordering) -> u16 {
        self.avail.load(header::INDEX, order)
    }

    /// The head that was made available at `position`.
    #[inline(always)]
    pub(super) fn avail_entry(&self, position: usize) -> u16 {
        self.avail_entries.load::<u16, 0>(position)
    }

    pub(super) fn avail_flags(&self) -> u16 {
        self.avail.load(header::FLAGS, Ordering::Relaxed)
    }

    pub(super) fn used_event(&self) -> u16 {
        self.used_event.load(0, Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn write_used(&self, position: usize, id: u32, written: u32) {
        self.used_entries.store::<u32, 0>(position, id);
        self.used_entries.store::<u32, 4>(position, written);
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
