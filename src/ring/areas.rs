//! A split ring's words in host memory (section 2.7).

use super::{RingConfig, RingError};
use crate::mem::{Gpa, GuestArray, GuestMemory, GuestRing, GuestRun, MemoryError, Translator};
use crate::spec::ring::{DESC_LEN, used_entry};
use crate::sync::Ordering;

/// Both rings begin with two words of 16 bits, flags and index; entries follow, then the word of the event index.
mod word {
    pub(super) const FLAGS: usize = 0;
    pub(super) const INDEX: usize = 1;
    /// Bytes of the two.
    pub(super) const HEADER: usize = 4;
    /// Bytes of the event index.
    pub(super) const EVENT: usize = 2;
}

/// Bytes of an entry of the available ring.
const AVAIL_ENTRY: usize = 2;
/// Bytes of an entry of the used ring.
const USED_ENTRY: usize = 8;

/// Neighbouring entries of the available ring.
pub(super) type AvailRun<'t> = GuestRun<'t, AVAIL_ENTRY>;
/// Neighbouring entries of the used ring.
pub(super) type UsedRun<'t> = GuestRun<'t, USED_ENTRY>;

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

/// Writes the used entry of a chain into which so many bytes were written.
#[inline(always)]
pub(super) fn write_used(entries: &UsedRun<'_>, index: usize, head: u16, written: u32) {
    entries.store::<u32, { used_entry::ID }>(index, u32::from(head));
    entries.store::<u32, { used_entry::LEN }>(index, written);
}

impl<'t> Areas<'t> {
    pub(super) fn map<M: GuestMemory + ?Sized>(
        config: &RingConfig,
        memory: &mut Translator<'t, M>,
    ) -> Result<Self, RingError> {
        let size = usize::from(config.size);
        let RingConfig { desc, avail, used, .. } = *config;
        let table = memory.contiguous(desc, size * DESC_LEN)?;
        let driver = memory.contiguous(avail, word::HEADER + size * AVAIL_ENTRY + word::EVENT)?;
        let device = memory.contiguous(used, word::HEADER + size * USED_ENTRY + word::EVENT)?;
        let (heads, entries) = (driver.skip(word::HEADER), device.skip(word::HEADER));
        let misaligned = |at, alignment| MemoryError::Misaligned { at, alignment };
        let (words, entry_words) = (size_of::<u16>(), size_of::<u32>());
        Ok(Self {
            table: GuestRing::over::<u64>(table, config.size).ok_or(misaligned(desc, size_of::<u64>()))?,
            avail: GuestArray::over(driver, 2).ok_or(misaligned(avail, words))?,
            avail_entries: GuestRing::over::<u16>(heads, config.size).ok_or(misaligned(avail, words))?,
            used_event: GuestArray::over(heads.skip(size * AVAIL_ENTRY), 1)
                .ok_or(misaligned(avail, words))?,
            used: GuestArray::over(device, 2).ok_or(misaligned(used, words))?,
            used_entries: GuestRing::over::<u32>(entries, config.size)
                .ok_or(misaligned(used, entry_words))?,
            avail_event: GuestArray::over(entries.skip(size * USED_ENTRY), 1)
                .ok_or(misaligned(used, words))?,
        })
    }

    /// Where the avail_event of a used ring at `used` is.
    pub(super) fn avail_event_at(used: Gpa, size: u16) -> Gpa {
        Gpa(used.0.wrapping_add((word::HEADER + USED_ENTRY * usize::from(size)) as u64))
    }

    /// Calls `written` with what is written of the used ring when `count` entries from `from` on are published.
    pub(super) fn for_each_used(
        config: &RingConfig,
        from: u16,
        count: u16,
        mut written: impl FnMut(Gpa, u32),
    ) {
        let RingConfig { used, size, .. } = *config;
        let first = u32::from(from & (size - 1));
        let before_wrap = u32::from(count).min(u32::from(size) - first);
        let entry = USED_ENTRY as u32;
        let at = |slot: u32| Gpa(used.0.wrapping_add(word::HEADER as u64 + u64::from(slot * entry)));
        written(at(first), before_wrap * entry);
        written(at(0), (u32::from(count) - before_wrap) * entry);
    }

    /// The heads that were made available from `position` on, at most `count`, up to where the ring wraps.
    #[inline(always)]
    pub(super) fn avail_run(&self, position: u16, count: usize) -> AvailRun<'t> {
        self.avail_entries.run(usize::from(position), count)
    }

    /// The used entries from `position` on, likewise.
    #[inline(always)]
    pub(super) fn used_run(&self, position: u16, count: usize) -> UsedRun<'t> {
        self.used_entries.run(usize::from(position), count)
    }

    /// The descriptor table.
    #[inline(always)]
    pub(super) fn table(&self) -> GuestRun<'t, DESC_LEN> {
        self.table.run(0, usize::MAX)
    }

    /// The driver's index; what it made available before is visible after.
    #[inline]
    pub(super) fn avail_index(&self, order: Ordering) -> u16 {
        self.avail.load(word::INDEX, order)
    }

    /// The head that was made available at `position`.
    #[inline(always)]
    pub(super) fn avail_entry(&self, position: usize) -> u16 {
        self.avail_entries.load::<u16, 0>(position)
    }

    #[inline]
    pub(super) fn avail_flags(&self) -> u16 {
        self.avail.load(word::FLAGS, Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn used_event(&self) -> u16 {
        self.used_event.load(0, Ordering::Relaxed)
    }

    /// Shows the driver all used entries before `index`.
    #[inline]
    pub(super) fn publish(&self, index: u16) {
        self.used.store(word::INDEX, index, Ordering::Release);
    }

    pub(super) fn set_used_flags(&self, flags: u16) {
        self.used.store(word::FLAGS, flags, Ordering::Relaxed);
    }

    pub(super) fn set_avail_event(&self, index: u16) {
        self.avail_event.store(0, index, Ordering::Relaxed);
    }
}
