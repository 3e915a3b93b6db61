//! The fast lane: a frame of one buffer goes straight from the available to the used ring.
//!
//! Nearly all buffers of nearly all drivers are one descriptor in one region. Such a chain needs no walk and no place in
//! the pool: it is checked, filled and staged in one step, with every check that the walk would make. Whatever is not
//! of that kind the lane declines without a trace, and the walk judges it.

use super::areas::Areas;
use super::split::Batch;
use super::{BATCH, Burst};
use crate::mem::{GuestSlice, Region};
use crate::spec::{MIN_FRAME, NetHeader};

/// Available chains into which frames may be placed without the pool: the turn's own part of the cursor.
///
/// While it is open the pool is empty, so the next used entry is a fixed step away from the next available one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    pub(super) begin: u16,
    pub(super) next: u16,
    pub(super) end: u16,
    pub(super) to_used: u16,
}

impl Lane {
    /// Where the next chain is popped, and where its used entry goes.
    #[inline(always)]
    pub(super) fn positions(&self) -> (usize, usize) {
        (usize::from(self.next), usize::from(self.next.wrapping_add(self.to_used)))
    }

    /// How many chains are left in it.
    pub(super) fn left(&self) -> usize {
        usize::from(self.end.wrapping_sub(self.next))
    }
}

/// A buffer that was popped for a frame.
#[derive(Clone, Copy)]
pub(super) struct Spot<'t> {
    buffer: GuestSlice<'t>,
    id: u32,
}

impl<'t> Spot<'t> {
    /// Pops the buffer at `position`; `None` if what is there is not one.
    ///
    /// `region` is where buffers are expected: that of the last one that was looked up.
    #[inline(always)]
    pub(super) fn pop(
        areas: &Areas<'t>,
        region: Region<'t>,
        heads: &mut Batch<'_>,
        position: usize,
    ) -> Option<Self> {
        // What is read here is used here or not at all: the walk reads everything anew.
        let id = areas.avail_entry(position);
        let now = heads.now();
        let epoch = heads.free(id)?;
        let descriptor = areas.descriptor(usize::from(id));
        if !descriptor.is_single() {
            return None;
        }
        let buffer = region.get(descriptor.at, descriptor.len)?;
        *epoch = now;
        Some(Self { buffer, id: u32::from(id) })
    }

    /// Fills the buffer with header and frame and stages it as used entry `used`; `false` if they do not fit.
    #[inline(always)]
    pub(super) fn fill(
        &self,
        areas: &Areas<'t>,
        used: usize,
        header: &NetHeader,
        header_len: usize,
        frame: &[u8],
    ) -> bool {
        let filled = frame.len() >= MIN_FRAME && self.buffer.copy_headed(header.bytes(), header_len, frame);
        if filled {
            areas.write_used(used, self.id, (header_len + frame.len()) as u32);
        }
        filled
    }

    /// Gives the buffer back.
    #[inline(always)]
    pub(super) fn release(&self, heads: &mut Batch<'_>) {
        heads.release(self.id as u16);
    }
}

/// The buffers popped for a burst, found before the first of them is filled: their cache misses overlap that way.
pub(super) struct Spots<'t> {
    spots: [Spot<'t>; BATCH],
    found: usize,
}

impl<'t> Spots<'t> {
    /// Finds buffers for up to `count` frames, but no more than `N`, from `position` on, and stops at the first chain that is not one.
    ///
    /// `region` is where buffers are expected: that of the last one that was looked up.
    #[inline(always)]
    pub(super) fn find(
        areas: &Areas<'t>,
        region: Region<'t>,
        heads: &mut Batch<'_>,
        position: usize,
        count: usize,
    ) -> Self {
        let nowhere = Spot { buffer: GuestSlice::EMPTY, id: 0 };
        let mut spots = Self { spots: [nowhere; BATCH], found: 0 };
        for (step, spot) in spots.spots.iter_mut().take(count).enumerate() {
            let Some(found) = Spot::pop(areas, region, heads, position + step) else { break };
            *spot = found;
            spots.found += 1;
        }
        spots
    }

    /// Fills the buffers with frames, from the first on, and stages each as a used entry from `used` on; stops at a frame
    /// that does not fit its buffer.
    #[inline(always)]
    pub(super) fn fill<F: AsRef<[u8]>>(
        &self,
        areas: &Areas<'t>,
        used: usize,
        header: &NetHeader,
        header_len: usize,
        frames: &[F],
    ) -> Burst {
        let mut burst = Burst::default();
        for (spot, frame) in self.spots.iter().take(self.found).zip(frames) {
            let frame = frame.as_ref();
            if !spot.fill(areas, used + burst.frames, header, header_len, frame) {
                break;
            }
            burst.frames += 1;
            burst.bytes += frame.len();
        }
        burst
    }

    /// Gives back the buffers that were not filled.
    #[inline(always)]
    pub(super) fn release(&self, filled: usize, heads: &mut Batch<'_>) {
        for spot in self.spots.iter().take(self.found).skip(filled) {
            spot.release(heads);
        }
    }
}
