//! The fast lane: a frame of one buffer goes straight from the available to the used ring.
//!
//! Nearly all buffers of nearly all drivers are one descriptor in one region. Such a chain needs no walk and no place in
//! the pool: it is checked, filled and staged in one step, with every check that the walk would make. Whatever is not
//! of that kind the lane declines without a trace, and the walk judges it.

use super::areas::Areas;
use super::split::Batch;
use crate::mem::Region;
use crate::spec::NetHeader;

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
    /// How far a lane goes before it is settled: a batch, within which the budget is not looked at.
    pub(super) const LEN: u16 = 32;

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

/// All that placing a frame looks at, gathered so that a burst of frames can keep it at hand.
pub(super) struct Placer<'p, 't> {
    pub(super) areas: Areas<'t>,
    /// Where buffers are expected: the region of the last one that was looked up.
    pub(super) region: Region<'t>,
    pub(super) heads: Batch<'p>,
    pub(super) header: NetHeader,
    pub(super) header_len: usize,
}

impl Placer<'_, '_> {
    /// Fills the chain at `position` with header and frame and stages it as used entry `used`, if it is a buffer of the
    /// expected kind.
    #[inline(always)]
    pub(super) fn place(&mut self, position: usize, used: usize, frame: &[u8]) -> bool {
        // What is read here is used here or not at all: the walk reads everything anew.
        let id = usize::from(self.areas.avail_entry(position));
        let now = self.heads.now();
        let Some(epoch) = self.heads.untaken(id) else { return false };
        let descriptor = self.areas.descriptor(id);
        if !descriptor.is_single() {
            return false;
        }
        let Some(buffer) = self.region.get(descriptor.at, descriptor.len) else { return false };
        if !buffer.copy_headed(self.header.bytes(), self.header_len, frame) {
            return false;
        }
        *epoch = now;
        self.areas.write_used(used, id as u32, (self.header_len + frame.len()) as u32);
        true
    }
}
