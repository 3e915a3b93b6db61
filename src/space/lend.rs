//! Lending guest buffers to a source that reads its frames.

use super::pool::Slot;
use super::{DropReason, Placed, RxSpace};
use crate::mem::GuestBuf;
use crate::spec::FrameMeta;

/// Scatter lists longer than this are refused by common systems (`IOV_MAX`).
const MAX_LIST: usize = 1024;

/// Guest buffers lent for several frames: a scatter list for each, to be handed to one system call or to several.
///
/// The source reads, then reports each frame in the order of the lists, with [`fill`](Self::fill) or
/// [`cut`](Self::cut). Lists it does not report go back to the free buffers.
#[derive(Debug)]
pub struct Lent<'s, 'a> {
    space: &'s mut RxSpace<'a>,
    largest: usize,
    reported: usize,
}

impl<'s, 'a> Lent<'s, 'a> {
    pub(super) fn new(space: &'s mut RxSpace<'a>, largest: usize, frames: usize) -> Option<Self> {
        let frames = frames.min(space.limits.frames);
        if frames == 0 {
            return None;
        }
        space.pool.lists.clear();
        space.pool.slots.clear();
        if space.limits.discard {
            lend_scratch(space, largest, frames);
        } else {
            lend_chains(space, largest, frames);
        }
        if space.pool.slots.is_empty() {
            space.wished(space.rules.len() + largest);
            return None;
        }
        Some(Self { space, largest, reported: 0 })
    }

    /// How many frames may be read; at least one.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.space.pool.slots.len()
    }

    /// Where frame `index` goes: the first byte of the first buffer is the frame's first.
    #[must_use]
    pub fn buffers(&self, index: usize) -> &[GuestBuf] {
        let Some(slot) = self.space.pool.slots.get(index) else { return &[] };
        self.space.pool.lists.get(slot.list..slot.list + slot.len).unwrap_or_default()
    }

    /// Copies a frame into list `index`, for a source that gets its bytes without a system call; returns how many fit.
    pub fn copy_in(&mut self, index: usize, frame: &[u8]) -> usize {
        let Some(slot) = self.space.pool.slots.get(index).copied() else { return 0 };
        self.space.pool.copy_to_list(slot, frame)
    }

    /// How many bytes a frame in list `index` may have.
    #[must_use]
    pub fn room(&self, index: usize) -> usize {
        self.space.pool.slots.get(index).map_or(0, |slot| slot.room)
    }

    /// Whether the next frame's length must be known before it is read.
    ///
    /// That is so when the guest merges buffers and has posted less than the largest frame needs: a frame longer than
    /// [`room(0)`](Self::room) would be cut, though it may fit later. Then ask the system for the length, and read
    /// only if it fits, else report [`too_long`](Self::too_long).
    #[must_use]
    pub fn must_peek(&self) -> bool {
        let merging = self.space.rules.mergeable() && !self.space.limits.discard;
        merging && self.room(0) < self.largest
    }

    /// The next frame was read, all `len` bytes of it.
    pub fn fill(&mut self, len: usize, meta: FrameMeta) -> Placed {
        let Some(slot) = self.next_slot() else { return Placed::NoRoom };
        let header = match self.space.judge(len, &meta) {
            Ok(_) if len > slot.room => return self.space.dropped(DropReason::TooLong),
            Ok(header) => header,
            Err(reason) => return self.space.dropped(reason),
        };
        let header_len = self.space.rules.len();
        let buffers = self.space.pool.spanned(slot, header_len + len);
        let header = header.with_buffers(buffers);
        self.space.pool.fill_slot(slot, header.bytes().get(..header_len).unwrap_or_default(), len);
        self.space.delivered(len)
    }

    /// The next frame was longer than its buffers and was cut by the system: it is dropped.
    pub fn cut(&mut self) -> Placed {
        if self.next_slot().is_none() {
            return Placed::NoRoom;
        }
        let reason = if self.space.limits.discard { DropReason::RingFull } else { DropReason::TooLong };
        self.space.dropped(reason)
    }

    /// The next frame has `len` bytes, more than there is room for, and was not read.
    ///
    /// [`Placed::Dropped`] means that it never will fit: the source discards it.
    pub fn too_long(self, len: usize) -> Placed {
        if self.space.holds_whole_ring() {
            return self.space.dropped(DropReason::TooLong);
        }
        self.space.refused(self.space.rules.len() + len)
    }

    fn next_slot(&mut self) -> Option<Slot> {
        let slot = self.space.pool.slots.get(self.reported).copied();
        self.reported += 1;
        slot
    }
}

/// Lists over the free chains: one chain a frame, or as many as the largest frame needs where the guest merges them.
fn lend_chains(space: &mut RxSpace<'_>, largest: usize, frames: usize) {
    let header = space.rules.len();
    let need = if space.rules.mergeable() { header + largest } else { 0 };
    let mut chain = space.pool.next();
    let end = chain + space.pool.free();
    while chain < end && space.pool.slots.len() < frames {
        let (slot, room) = lend_one(space, chain, end, need);
        let partial = room < need;
        let first = space.pool.slots.is_empty();
        if partial && !(first && space.limits.ring_dry) {
            return;
        }
        chain += slot.chains;
        space.pool.slots.push(slot);
    }
}

/// The list of one frame from chain `first` on, until `need` bytes are found; returns the bytes found, header included.
fn lend_one(space: &mut RxSpace<'_>, first: usize, end: usize, need: usize) -> (Slot, usize) {
    let list = space.pool.lists.len();
    let header = space.rules.len();
    let (mut chains, mut room) = (0, 0);
    while first + chains < end && (chains == 0 || room < need) {
        let skip = if chains == 0 { header } else { 0 };
        room += space.pool.list(first + chains, skip);
        chains += 1;
    }
    let lists = &mut space.pool.lists;
    let long = lists.len() - list > MAX_LIST;
    let beyond: usize = lists.iter().skip(list + MAX_LIST).map(|buffer| buffer.len()).sum();
    lists.truncate(list + MAX_LIST);
    let len = lists.len() - list;
    let room = if long { room - beyond } else { room };
    (Slot { chain: first, chains, list, len, room }, room + header)
}

/// Lists that all end in one throw-away buffer of the host.
fn lend_scratch(space: &mut RxSpace<'_>, largest: usize, frames: usize) {
    let scratch = space.pool.scratch(largest);
    for list in 0..frames {
        space.pool.lists.push(scratch);
        space.pool.slots.push(Slot { chain: 0, chains: 0, list, len: 1, room: largest });
    }
}
