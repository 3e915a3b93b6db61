//! Room lent for frames that are read: scatter lists over the free chains, or over bytes of the host's where the frames
//! are to be seen by others before the guest can touch them.

#![allow(unsafe_code, reason = "hands out addresses for the system to write to, and copies from and to them")]

use super::{Chain, MAX_CHAIN_BYTES, Pool, Segment};
use crate::mem::{Gpa, GuestBuf, GuestSlice};

/// Scatter lists longer than this are refused by common systems (`IOV_MAX`).
pub(crate) const MAX_LIST: usize = 1024;

/// No more than this of the host's memory is set aside, or one frame's room if that is more.
const MOST_ASIDE: usize = 1 << 20;

/// The part of the free chains that is lent for one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) chain: usize,
    pub(crate) chains: usize,
    pub(crate) list: usize,
    pub(crate) len: usize,
    pub(crate) room: usize,
}

impl Pool {
    /// Forgets the loan before.
    pub(crate) fn clear_loan(&mut self) {
        self.lists.clear();
        self.slots.clear();
        self.aside.clear();
    }

    /// Makes the scatter lists of up to `frames` frames, each over free chains that together have `need` bytes, but for the
    /// first `header` of those. Only the first frame's may have less.
    pub(crate) fn lend(&mut self, frames: usize, header: usize, need: usize) {
        let Self { chains: all, next, rest, lists, slots, .. } = self;
        let (mut chain, mut free) = (*next, all.get(*next..).unwrap_or_default());
        while slots.len() < frames {
            let (chains, bytes) = count_until(free, need);
            let (lent, behind) = free.split_at_checked(chains).unwrap_or_default();
            if lent.is_empty() || (bytes < need && !slots.is_empty()) {
                return;
            }
            free = behind;
            let list = lists.len();
            let short = match rest.is_empty() {
                true => make_list(lent.iter().map(|chain| &chain.first), header, lists),
                false => make_list(lent.iter().flat_map(|chain| chain.segments(rest)), header, lists),
            };
            let room = bytes - (header - short) - cut(lists, list);
            slots.push(Slot { chain, chains, list, len: lists.len() - list, room });
            chain += chains;
        }
    }

    /// Where the frame of slot `index` is to be read to.
    pub(crate) fn buffers(&self, index: usize) -> &[GuestBuf] {
        if let Some(aside) = self.aside.get(index) {
            return std::slice::from_ref(aside);
        }
        let Some(slot) = self.slots.get(index) else { return &[] };
        self.lists.get(slot.list..slot.list + slot.len).unwrap_or_default()
    }

    /// Calls `written` with each run that is lent for `slot`, any of which may have been read to.
    pub(crate) fn for_each_lent(&self, slot: Slot, mut written: impl FnMut(Gpa, u32)) {
        let chains = self.chains.iter().skip(slot.chain).take(slot.chains);
        for segment in chains.flat_map(|chain| chain.segments(&self.rest)) {
            written(segment.at, segment.host.len() as u32);
        }
    }

    /// Copies `frame` to where that of slot `index` is to be read to, `header` bytes into its chains; returns how many bytes
    /// fit.
    pub(crate) fn copy_in(&self, index: usize, header: usize, frame: &[u8]) -> usize {
        match (self.aside.get(index), self.slots.get(index)) {
            (None, Some(slot)) if slot.chains > 0 => self.copy_to_chains(*slot, header, frame),
            _ => self.copy_to_host(index, frame),
        }
    }

    /// Copies `frame` to the host's bytes that stand for the guest's.
    fn copy_to_host(&self, index: usize, frame: &[u8]) -> usize {
        let Some(buffer) = self.buffers(index).first() else { return 0 };
        // SAFETY: the buffer was made in this `recv`, of the pool's own scratch, for a slot without chains or set aside.
        unsafe { buffer.attach() }.copy_from(frame)
    }

    /// Copies a frame into the chains of `slot`, `header` bytes in; returns how many bytes fit.
    pub(crate) fn copy_to_chains(&self, slot: Slot, header: usize, frame: &[u8]) -> usize {
        let len = frame.len().min(slot.room);
        let mut left = frame.get(..len).unwrap_or_default();
        for slice in self.behind(slot.chain, slot.chains, header) {
            slice.take_from(&mut left);
            if left.is_empty() {
                break;
            }
        }
        len - left.len()
    }

    /// Makes lists for `frames` frames that all end in one buffer of the host's, which nobody will look at, nor miss what of
    /// a frame is beyond any chain.
    pub(crate) fn lend_scratch(&mut self, len: usize, frames: usize) {
        let len = len.min(MAX_CHAIN_BYTES);
        self.scratch.resize(len.max(self.scratch.len()), 0);
        // SAFETY: the bytes are this pool's own, and only ever reached through this pointer while they are lent.
        let scratch = unsafe { GuestSlice::new(self.scratch.as_mut_ptr(), len) }.detach();
        for list in 0..frames {
            self.lists.push(scratch);
            self.slots.push(Slot { chain: 0, chains: 0, list, len: 1, room: len });
        }
    }

    /// Makes slots for `frames` frames of up to `len` bytes that no guest gets, but of no more than a chain could have.
    pub(crate) fn lend_nothing(&mut self, len: usize, frames: usize) {
        let slot = Slot { chain: 0, chains: 0, list: 0, len: 0, room: len.min(MAX_CHAIN_BYTES) };
        self.slots.extend(std::iter::repeat_n(slot, frames));
    }

    /// Has the frames of all slots read to bytes of the host's, as many as each has room for. Slots beyond [`MOST_ASIDE`]
    /// are taken back: how much one has is the guest's choice.
    pub(crate) fn set_aside(&mut self) {
        let rooms = self.slots.iter().scan(0, |room, slot| {
            *room += slot.room;
            Some(*room)
        });
        let kept = rooms.take_while(|room| *room <= MOST_ASIDE).count();
        self.slots.truncate(kept.max(1));
        let room = self.slots.iter().map(|slot| slot.room).sum();
        self.scratch.resize(self.scratch.len().max(room), 0);
        // SAFETY: the bytes are this pool's own, and only ever reached through this pointer while they are lent.
        let mut free = unsafe { GuestSlice::new(self.scratch.as_mut_ptr(), room) };
        for slot in &self.slots {
            self.aside.push(free.take(slot.room).detach());
            free = free.skip(slot.room);
        }
    }

    /// Appends the first `len` bytes of what was set aside for slot `index`, or all that it has, to `bytes`.
    pub(crate) fn copy_aside(&self, index: usize, len: usize, bytes: &mut Vec<u8>) {
        let Some(aside) = self.aside.get(index) else { return };
        let start = bytes.len();
        bytes.resize(start + len.min(aside.len()), 0);
        // SAFETY: it was made in this `recv`, of the pool's own scratch.
        unsafe { aside.attach() }.copy_to(bytes.get_mut(start..).unwrap_or_default());
    }
}

/// How many of `chains` it takes to have `need` bytes, at least one, and how many bytes those have; all of them may have less.
#[inline(always)]
fn count_until(chains: &[Chain], need: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for chain in chains {
        bytes += chain.capacity as usize;
        count += 1;
        if bytes >= need {
            break;
        }
    }
    (count, bytes)
}

/// Adds a list of `runs`, but for the first `skip` bytes; returns how many of those the runs did not have. A run that begins
/// where the one before ends makes that longer.
#[inline(always)]
fn make_list<'p>(
    mut runs: impl Iterator<Item = &'p Segment>,
    mut skip: usize,
    lists: &mut Vec<GuestBuf>,
) -> usize {
    let mut behind = |run: &Segment| {
        let slice = run.slice();
        let behind = slice.skip(skip);
        skip -= slice.len() - behind.len();
        behind.detach()
    };
    if let Some(first) = runs.next() {
        let mut last = behind(first);
        for run in runs {
            let next = behind(run);
            last = last.join(next).unwrap_or_else(|| {
                add(lists, last);
                next
            });
        }
        add(lists, last);
    }
    skip
}

/// Adds a buffer, unless there is nothing to it.
#[inline(always)]
fn add(lists: &mut Vec<GuestBuf>, buffer: GuestBuf) {
    if !buffer.is_empty() {
        lists.push(buffer);
    }
}

/// Cuts the list that begins at `list` to what the system takes; returns how many bytes that cost.
#[inline]
fn cut(lists: &mut Vec<GuestBuf>, list: usize) -> usize {
    if lists.len() - list <= MAX_LIST {
        return 0;
    }
    lists.drain(list + MAX_LIST..).map(GuestBuf::len).sum()
}
