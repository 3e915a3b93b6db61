//! The fast lane: a frame of one buffer goes straight from the available to the used ring.
//!
//! Nearly all buffers of nearly all drivers are one descriptor in one region. Such a chain needs no walk and no place in
//! the pool: it is checked, filled and staged by itself, with every check that the walk would make. Whatever is not of
//! that kind the lane declines without a trace, and the walk judges it.
//!
//! A burst takes two passes, since the buffers' cache misses overlap that way: its buffers are found, then filled.

#![allow(unsafe_code, reason = "fills the buffers that it has just found")]

use super::areas::{Areas, AvailRun, UsedRun};
use super::split::Batch;
use super::{BATCH, Burst, Cursor};
use crate::mem::{Gpa, GuestBuf, Header, Region};
use crate::spec::ring::DESC_WRITE;

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

/// The buffers of a burst. They are of use only in the call that found them.
#[derive(Debug)]
pub(super) struct Spots(Box<[Spot]>);

/// Where and how buffers are found.
pub(super) struct Finder<'f, 't> {
    pub(super) areas: &'f Areas<'t>,
    /// Where buffers are expected: the region of the last one that was looked up.
    pub(super) region: Region<'t>,
    pub(super) heads: Batch<'f>,
}

impl<'t> Lane<'t> {
    /// The lane from `cursor` on, for at most `len` frames. It ends where either ring wraps.
    #[inline]
    pub(super) fn new(areas: &Areas<'t>, cursor: Cursor, len: usize) -> Self {
        let avail = areas.avail_run(cursor.next_avail, len);
        let used = areas.used_run(cursor.next_used, avail.len());
        Self { avail: avail.take(used.len()), used, placed: 0 }
    }

    /// How many frames were placed in it.
    pub(super) fn placed(&self) -> usize {
        self.placed
    }

    /// Finds buffers for the next frames, at most `most`; stops at the first chain that is not one buffer. Returns how
    /// many it found.
    #[inline(always)]
    pub(super) fn find(&self, most: usize, finder: Finder<'_, 't>, spots: &mut Spots) -> usize {
        let Finder { areas, region, heads } = finder;
        let (epochs, now) = heads.into_parts();
        let (avail, table) = (self.avail.skip(self.placed), areas.table());
        let size = epochs.len().min(table.len());
        let most = most.min(avail.len()).min(spots.0.len());
        for step in 0..most {
            // What is read here is used here or not at all: the walk reads everything anew.
            let (Some(spot), Some(head)) = (spots.0.get_mut(step), avail.load::<u16, 0>(step)) else {
                return step;
            };
            let index = usize::from(head);
            if index >= size {
                return step;
            }
            let (Some(epoch), Some(flags)) = (epochs.get_mut(index), table.load::<u16, 12>(index)) else {
                return step;
            };
            if flags != DESC_WRITE || *epoch >= now {
                return step;
            }
            let (Some(at), Some(len)) = (table.load::<u64, 0>(index), table.load::<u32, 8>(index)) else {
                return step;
            };
            let Some(buffer) = region.get(Gpa(at), len) else { return step };
            *epoch = now;
            *spot = Spot { buffer: buffer.detach(), head };
        }
        most
    }

    /// Fills the `found` buffers with frames, from the first on, and stages each as a used entry; stops at a frame that
    /// does not fit its buffer.
    #[inline(always)]
    pub(super) fn fill<'f, I, F>(
        &mut self,
        spots: &Spots,
        found: usize,
        header: &Header,
        frames: &mut I,
    ) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let header = *header;
        let used = self.used.skip(self.placed);
        let spots = spots.0.get(..found).unwrap_or_default();
        let mut burst = Burst::default();
        for step in 0..spots.len().min(used.len()) {
            let (Some(spot), Some(frame)) = (spots.get(step), frames.next()) else { break };
            // SAFETY: it was found in the same call, over memory that the turn has borrowed.
            let buffer = unsafe { spot.buffer.attach() };
            let Some(written) = buffer.copy_headed(&header, frame.as_ref()) else {
                burst.declined = Some(frame);
                break;
            };
            used.store::<u32, 0>(step, u32::from(spot.head));
            used.store::<u32, 4>(step, written as u32);
            burst.frames += 1;
            burst.written += written;
        }
        self.placed += burst.frames;
        burst
    }
}

impl Spots {
    pub(super) fn new() -> Self {
        Self([Spot { buffer: GuestBuf::EMPTY, head: 0 }; BATCH].into())
    }

    /// Gives back the buffers that were found and not filled.
    #[cold]
    pub(super) fn release(&self, filled: usize, found: usize, heads: &mut Batch<'_>) {
        for spot in self.0.iter().take(found).skip(filled) {
            heads.release(spot.head);
        }
    }
}
