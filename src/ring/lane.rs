//! The fast lane: a frame of one buffer goes straight from the available to the used ring.
//!
//! Nearly all buffers of nearly all drivers are one descriptor in one region. Such a chain needs no walk and no place in
//! the pool: it is checked, filled and staged by itself, with every check that the walk would make. Whatever is not of
//! that kind the lane declines without a trace, and the walk judges it.
//!
//! A burst takes two passes, since the buffers' cache misses overlap that way: its buffers are found, then filled.

#![allow(unsafe_code, reason = "fills the buffers that it has just found")]

use super::areas::{Areas, AvailRun, UsedRun};
use super::split::{Batch, Heads};
use super::{BATCH, Burst, BurstEnd, Cursor};
use crate::mem::{Gpa, GuestBuf, GuestRun, GuestSlice, Header, Region};
use crate::spec::ring::{DESC_LEN, DESC_WRITE};

/// Available chains into which frames may be placed without the pool, and the used entries behind which they come.
///
/// While it is open the pool is empty, so the two keep step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane<'t> {
    avail: AvailRun<'t>,
    used: UsedRun<'t>,
    placed: usize,
}

/// A buffer that was found for a frame.
#[derive(Clone, Copy, Debug)]
struct Spot {
    buffer: GuestBuf,
    head: u16,
}

/// Room for the buffers of a burst. They are of use only in the call that found them.
#[derive(Debug)]
pub(super) struct Spots(Box<[Spot; BATCH]>);

/// What the lane looks at.
pub(super) struct Seen<'s, 't> {
    pub(super) areas: &'s Areas<'t>,
    /// Where buffers are expected: the region of the last one that was looked up.
    pub(super) region: Region<'t>,
    pub(super) heads: &'s mut Heads,
}

/// Finds the buffers of chains that are just one.
pub(super) struct Finder<'f, 't> {
    table: GuestRun<'t, DESC_LEN>,
    region: Region<'t>,
    /// By head, when it was completed last.
    epochs: &'f mut [u32],
    now: u32,
    /// Heads that both the table and the epochs have.
    heads: usize,
}

impl<'f, 't> Finder<'f, 't> {
    #[inline(always)]
    pub(super) fn new(areas: &Areas<'t>, region: Region<'t>, heads: Batch<'f>) -> Self {
        let (table, (epochs, now)) = (areas.table(), heads.into_parts());
        let heads = epochs.len().min(table.len());
        Self { table, region, epochs, now, heads }
    }

    /// Where the buffer of a chain is that is just one, if the head is free, and the head's epoch: set to now, it is taken.
    #[inline(always)]
    pub(super) fn buffer(&mut self, head: u16) -> Option<(Gpa, GuestSlice<'t>, &mut u32)> {
        // What is read here is used here or not at all: the walk reads everything anew.
        let index = usize::from(head);
        if index >= self.heads {
            return None;
        }
        let (epoch, flags) = (self.epochs.get_mut(index)?, self.table.load::<u16, 12>(index)?);
        if flags != DESC_WRITE || *epoch >= self.now {
            return None;
        }
        let (at, len) = (self.table.load::<u64, 0>(index)?, self.table.load::<u32, 8>(index)?);
        let at = Gpa(at);
        Some((at, self.region.get(at, len)?, epoch))
    }
}

impl<'t> Lane<'t> {
    /// The lane from `cursor` on, for at most `len` frames. It ends where either ring wraps.
    #[inline]
    pub(super) fn new(areas: &Areas<'t>, cursor: Cursor, len: usize) -> Self {
        let avail = areas.avail_run(cursor.next_avail, len);
        let used = areas.used_run(cursor.next_used, avail.len());
        Self { avail: avail.take(used.len()), used, placed: 0 }
    }

    /// Shuts it; returns how many frames were placed in it.
    #[inline]
    pub(super) fn shut(&mut self) -> usize {
        self.avail = AvailRun::default();
        std::mem::take(&mut self.placed)
    }

    /// Copies header and frame into the next buffer and stages it; returns how many bytes it now has. `None` if there is
    /// no buffer, or not for this frame: nothing has changed then.
    #[inline(always)]
    pub(super) fn place(
        &mut self,
        mut finder: Finder<'_, 't>,
        header: &Header,
        frame: &[u8],
    ) -> Option<usize> {
        let (now, head) = (finder.now, self.avail.load::<u16, 0>(self.placed)?);
        let (_, buffer, epoch) = finder.buffer(head)?;
        let written = buffer.copy_headed(header, frame)?;
        *epoch = now;
        stage(&self.used, self.placed, head, written);
        self.placed += 1;
        Some(written)
    }

    /// Copies header and frame into the next buffer and stages it, frame after frame, until one is declined.
    #[inline(always)]
    pub(super) fn place_burst<'f, I, F>(
        &mut self,
        seen: Seen<'_, 't>,
        spots: &mut Spots,
        header: &Header,
        frames: &mut I,
    ) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let Seen { areas, region, heads } = seen;
        let found = self.find(frames.size_hint().1.unwrap_or(BATCH), areas, region, heads, spots);
        let mut found = Found { spots: spots.0.get(..found).unwrap_or_default(), filled: 0, heads };
        let burst = self.fill(found.spots, header, frames);
        found.filled = burst.frames;
        burst
    }

    /// Finds buffers for the next frames, at most `most`; stops at the first chain that is not one buffer. Returns how
    /// many it found.
    #[inline(never)]
    fn find(
        &self,
        most: usize,
        areas: &Areas<'t>,
        region: Region<'t>,
        heads: &mut Heads,
        spots: &mut Spots,
    ) -> usize {
        let mut finder = Finder::new(areas, region, heads.batch());
        let (now, avail) = (finder.now, self.avail.skip(self.placed));
        let most = most.min(avail.len()).min(spots.0.len());
        for step in 0..most {
            let (Some(spot), Some(head)) = (spots.0.get_mut(step), avail.load::<u16, 0>(step)) else {
                return step;
            };
            let Some((_, buffer, epoch)) = finder.buffer(head) else { return step };
            *epoch = now;
            *spot = Spot { buffer: buffer.detach(), head };
        }
        most
    }

    /// Fills the buffers, which were found in this call, with frames, from the first on, and stages each as a used entry;
    /// stops at a frame that does not fit its buffer.
    #[inline(always)]
    fn fill<'f, I, F>(&mut self, spots: &[Spot], header: &Header, frames: &mut I) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let header = *header;
        let used = self.used.skip(self.placed);
        let mut burst = Burst { frames: 0, written: 0, end: BurstEnd::Lane };
        for step in 0..spots.len().min(used.len()) {
            let (Some(spot), Some(frame)) = (spots.get(step), frames.next()) else {
                burst.end = BurstEnd::Frames;
                break;
            };
            // SAFETY: `place_burst` has just found it, over memory that the turn has borrowed.
            let buffer = unsafe { spot.buffer.attach() };
            let Some(written) = buffer.copy_headed(&header, frame.as_ref()) else {
                burst.end = BurstEnd::Declined(frame);
                break;
            };
            stage(&used, step, spot.head, written);
            burst.frames += 1;
            burst.written += written;
        }
        self.placed += burst.frames;
        burst
    }
}

/// The buffers found for a burst; those that were not filled are given back, even if the frames' iterator panics.
struct Found<'s> {
    spots: &'s [Spot],
    filled: usize,
    heads: &'s mut Heads,
}

impl Drop for Found<'_> {
    #[inline]
    fn drop(&mut self) {
        for spot in self.spots.get(self.filled..).unwrap_or_default() {
            self.heads.release(spot.head);
        }
    }
}

/// Writes used entry `index`.
#[inline(always)]
fn stage(used: &UsedRun<'_>, index: usize, head: u16, written: usize) {
    used.store::<u32, 0>(index, u32::from(head));
    used.store::<u32, 4>(index, written as u32);
}

impl Spots {
    pub(super) fn new() -> Self {
        Self(Box::new([Spot { buffer: GuestBuf::EMPTY, head: 0 }; BATCH]))
    }
}
