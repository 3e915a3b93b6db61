//! Finding the buffers of plain chains.
//!
//! Nearly all chains of nearly all drivers are plain: one buffer or a few, all in one region, with a descriptor each in the
//! queue's own table. Of those every check is made here that the [walk](super::chain) would make. Any other chain is not
//! found, and the walk judges it.

use arrayvec::ArrayVec;

use super::areas::Areas;
use super::chain::Descriptor;
use super::split::Batch;
use crate::mem::{Gpa, GuestRun, GuestSlice, Region};
use crate::spec::ring::{DESC_LEN, DESC_NEXT, DESC_WRITE, desc};

/// Finds the buffers of plain chains.
///
/// What it reads is used for what it finds or not at all: the walk reads everything anew.
pub(super) struct Finder<'f, 't> {
    table: GuestRun<'t, DESC_LEN>,
    /// Where buffers are expected: the region of the last one that was looked up.
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

    /// The same finder, for a while.
    #[inline(always)]
    pub(super) fn reborrow(&mut self) -> Finder<'_, 't> {
        Finder { epochs: &mut *self.epochs, ..*self }
    }

    /// The epoch that is now: given it, a head is taken.
    #[inline(always)]
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// If the head is free, and its chain is one buffer that is to be written and lies in the region: where that is, and the
    /// head's epoch, which is to become [`now`](Self::now) if the chain is taken.
    #[inline(always)]
    pub(super) fn buffer(&mut self, head: u16) -> Option<(Gpa, GuestSlice<'t>, &mut u32)> {
        let index = usize::from(head);
        if index >= self.heads {
            return None;
        }
        let (epoch, flags) = (self.epochs.get_mut(index)?, self.table.load::<u16, { desc::FLAGS }>(index)?);
        if flags != DESC_WRITE || *epoch >= self.now {
            return None;
        }
        let at = self.table.load::<u64, { desc::ADDR }>(index)?;
        let len = self.table.load::<u32, { desc::LEN }>(index)?;
        let at = Gpa(at);
        Some((at, self.region.get(at, len)?, epoch))
    }

    /// Finds the buffers of a chain of a few, if the head is free; gives how many bytes they hold, and the head's epoch.
    #[inline(always)]
    pub(super) fn chain(&mut self, head: u16, buffers: &mut Buffers<'t>) -> Option<(usize, &mut u32)> {
        let epoch = self.epochs.get_mut(usize::from(head)).filter(|epoch| **epoch < self.now)?;
        let mut descriptor = Descriptor::load(&self.table, head)?;
        let mut room = 0;
        for _ in 0..self.heads {
            buffers.try_push(self.region.get(descriptor.at, descriptor.len)?).ok()?;
            room += descriptor.len as usize;
            match descriptor.flags {
                DESC_WRITE => return Some((room, epoch)),
                flags if flags == DESC_WRITE | DESC_NEXT => {
                    descriptor = Descriptor::load(&self.table, descriptor.next)?;
                }
                _ => return None,
            }
        }
        None
    }
}

/// The buffers of a plain chain.
///
/// Room for 64 KiB in pages, and for headers in buffers of their own before them.
pub(super) type Buffers<'t> = ArrayVec<GuestSlice<'t>, 20>;
