//! Chains that were popped from the ring and wait for frames.

#![allow(unsafe_code, reason = "writes into the buffers that it keeps from turn to turn")]

mod loan;

pub(crate) use loan::{MAX_LIST, Slot};

use super::chain::Popped;
use crate::mem::{Gpa, GuestBuf, GuestMemory, GuestSlice, Parts, Translator};

/// No more than this of one chain is kept: longer than any frame, and a bound for what a guest can make the host hold.
const MAX_CHAIN_BYTES: usize = 1 << 18;

/// Popped chains in the order they were popped: the filled ones first, then the free ones.
///
/// ```text
/// chains:  | filled, to be committed | free |
///                                    ^ next
/// ```
#[derive(Debug, Default)]
pub(crate) struct Pool {
    chains: Vec<Chain>,
    next: usize,
    /// The buffers of chained chains beyond the first of each.
    rest: Vec<Segment>,
    spare: Vec<Segment>,
    /// Scatter lists of the frames being read, and which of the chains are behind each.
    pub(crate) lists: Vec<GuestBuf>,
    pub(crate) slots: Vec<Slot>,
    /// The host's bytes that frames are read into in place of the guest's, and which of them are for which slot.
    scratch: Vec<u8>,
    aside: Vec<GuestBuf>,
}

/// A popped chain: what of it can be written, and how much of that was.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: Segment,
    rest_at: u32,
    rest_len: u32,
    /// Bytes that can be written, over all buffers, at most [`MAX_CHAIN_BYTES`].
    capacity: u32,
    /// Bytes that were written.
    written: u32,
    /// Descriptors of the queue's own table that it takes.
    entries: u16,
    popped: Popped,
}

/// A run of guest memory that lies within one buffer.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: Gpa,
    host: GuestBuf,
}

impl Segment {
    fn slice(&self) -> GuestSlice<'_> {
        // SAFETY: segments are used only within a turn of the engine that owns both this pool and the memory they
        // were resolved from, and `retranslate` renews them at the turn after the memory reports a change.
        unsafe { self.host.attach() }
    }
}

impl Pool {
    /// How many chains are free.
    pub(crate) fn free(&self) -> usize {
        self.chains.len() - self.next
    }

    /// How many bytes the free chains hold.
    pub(crate) fn free_bytes(&self) -> usize {
        self.capacities().sum()
    }

    /// How many descriptors of the queue's own table each free chain takes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = usize> {
        self.chains.iter().skip(self.next).map(|chain| usize::from(chain.entries))
    }

    /// Where the chain begins that was popped last.
    pub(crate) fn last_at(&self) -> Option<Gpa> {
        self.chains.last().map(|chain| chain.first.at)
    }

    /// How many bytes the chain that was popped last holds.
    pub(crate) fn last_capacity(&self) -> usize {
        self.chains.last().map_or(0, |chain| chain.capacity as usize)
    }

    /// Whether the chain that was popped last is one buffer.
    pub(crate) fn last_is_single(&self) -> bool {
        self.chains.last().is_some_and(|chain| chain.rest_len == 0)
    }

    /// How many bytes each free chain holds.
    pub(crate) fn capacities(&self) -> impl Iterator<Item = usize> {
        self.chains.iter().skip(self.next).map(|chain| chain.capacity as usize)
    }

    /// How many bytes the free chain holds that was popped first.
    pub(crate) fn front_capacity(&self) -> Option<usize> {
        self.chains.get(self.next).map(|chain| chain.capacity as usize)
    }

    /// Copies out of the free chain that was popped first, `skip` bytes in, as much as `to` holds; returns how much that was.
    pub(crate) fn read_front(&self, skip: usize, to: &mut [u8]) -> usize {
        let mut read = 0;
        for slice in self.behind(self.next, 1, skip) {
            read += slice.copy_to(to.get_mut(read..).unwrap_or_default());
        }
        read
    }

    /// The runs of memory of so many chains, but for the first `skip` bytes.
    fn behind(&self, first: usize, chains: usize, mut skip: usize) -> impl Iterator<Item = GuestSlice<'_>> {
        let chains = self.chains.iter().skip(first).take(chains);
        chains.flat_map(|chain| chain.segments(&self.rest)).map(move |segment| {
            let slice = segment.slice();
            let behind = slice.skip(skip);
            skip -= slice.len() - behind.len();
            behind
        })
    }

    /// Begins a chain; its buffers follow, then [`finish`](ChainBuilder::finish).
    #[inline]
    pub(crate) fn begin(&mut self) -> ChainBuilder<'_> {
        let rest_at = self.rest.len();
        ChainBuilder { pool: self, first: None, rest_at, capacity: 0 }
    }

    /// Adds a chain of one buffer; returns how many bytes it can take.
    #[inline]
    pub(crate) fn push_single(&mut self, popped: Popped, at: Gpa, host: GuestSlice<'_>) -> usize {
        let host = host.take(MAX_CHAIN_BYTES);
        let first = Segment { at, host: host.detach() };
        let (rest_at, capacity) = (self.rest.len() as u32, host.len() as u32);
        self.chains.push(Chain { first, rest_at, rest_len: 0, capacity, written: 0, entries: 1, popped });
        host.len()
    }

    /// Copies header and frame over the first `chains` free chains, which hold them, and fills those.
    pub(crate) fn fill_many(&mut self, chains: usize, header: &[u8], frame: &[u8]) {
        let mut bytes = Parts::new(header, frame);
        let end = self.next + chains;
        for chain in self.chains.get_mut(self.next..end).unwrap_or_default() {
            let mut written = bytes.copy_to(chain.first.slice());
            for segment in chain.rest_of(&self.rest) {
                written += bytes.copy_to(segment.slice());
            }
            chain.written = written as u32;
        }
        self.next = end;
    }

    /// Fills the chains of `slot` with what was read into them, `bytes` with the header; returns how many that takes.
    ///
    /// Chains of the slot that are not needed stay free, in front of those that were never lent.
    pub(crate) fn fill_slot(&mut self, slot: Slot, bytes: usize) -> u16 {
        let (first, mut left) = (self.next, bytes);
        for chain_at in slot.chain..slot.chain + slot.chains {
            let Some(chain) = self.chains.get_mut(chain_at) else { break };
            let here = left.min(chain.capacity as usize);
            chain.written = here as u32;
            left -= here;
            // Seldom: only behind a frame that left chains over.
            if self.next != chain_at {
                self.chains.swap(self.next, chain_at);
            }
            self.next += 1;
            if left == 0 {
                break;
            }
        }
        (self.next - first) as u16
    }

    /// Copies a header to where the `chains` that were filled last begin.
    #[inline]
    pub(crate) fn put_header(&self, chains: u16, mut header: &[u8]) {
        let first = self.next - usize::from(chains);
        if let Some(chain) = self.chains.get(first)
            && chain.first.host.len() >= header.len()
        {
            chain.first.slice().copy_from(header);
            return;
        }
        for slice in self.behind(first, chains.into(), 0) {
            slice.take_from(&mut header);
        }
    }

    /// How many chains are filled.
    pub(crate) fn filled(&self) -> usize {
        self.next
    }

    /// A filled chain, in the order of the frames, and the bytes written there.
    pub(crate) fn filled_chain(&self, index: usize) -> Option<(Popped, u32)> {
        self.chains.get(index).map(|chain| (chain.popped, chain.written))
    }

    /// Calls `written` with each run that was written in the filled chains.
    pub(crate) fn for_each_written(&self, mut written: impl FnMut(Gpa, u32)) {
        for chain in self.chains.iter().take(self.next) {
            let mut left = chain.written;
            for segment in chain.segments(&self.rest) {
                let here = left.min(segment.host.len() as u32);
                written(segment.at, here);
                left -= here;
                if left == 0 {
                    break;
                }
            }
        }
    }

    /// Lets go of the filled chains, which the ring has been told of.
    #[inline]
    pub(crate) fn forget_filled(&mut self) {
        if self.next == self.chains.len() {
            self.chains.clear();
            self.rest.clear();
        } else {
            self.chains.drain(..self.next);
            self.pack();
        }
        self.next = 0;
    }

    /// Moves the rest of each chain together, once most of the room is waste.
    fn pack(&mut self) {
        let live = || self.chains.iter().map(|chain| chain.rest_len as usize).sum::<usize>();
        if self.rest.is_empty() || live() * 2 > self.rest.len() {
            return;
        }
        for chain in &mut self.chains {
            let rest_at = self.spare.len() as u32;
            self.spare.extend_from_slice(chain.rest_of(&self.rest));
            chain.rest_at = rest_at;
        }
        std::mem::swap(&mut self.rest, &mut self.spare);
        self.spare.clear();
    }

    /// Takes the free chains out, to be given back to the ring.
    pub(crate) fn take_free(&mut self) -> Vec<Popped> {
        self.chains.drain(self.next..).map(|chain| chain.popped).collect()
    }

    /// Resolves every chain again after the memory's layout changed; returns those that are no longer backed as they
    /// were and are not in the pool any more.
    pub(crate) fn retranslate<M: GuestMemory + ?Sized>(
        &mut self,
        memory: &mut Translator<'_, M>,
    ) -> Vec<Popped> {
        let mut dead = Vec::new();
        let mut renew = |segment: &mut Segment| match memory.contiguous(segment.at, segment.host.len()) {
            Ok(slice) => {
                segment.host = slice.detach();
                true
            }
            Err(_) => false,
        };
        let rest = &mut self.rest;
        self.chains.retain_mut(|chain| {
            let range = chain.rest_at as usize..(chain.rest_at + chain.rest_len) as usize;
            let whole =
                renew(&mut chain.first) && rest.get_mut(range).unwrap_or_default().iter_mut().all(&mut renew);
            if !whole {
                dead.push(chain.popped);
            }
            whole
        });
        dead
    }
}

impl Chain {
    fn rest_of<'p>(&self, rest: &'p [Segment]) -> &'p [Segment] {
        rest.get(self.rest_at as usize..(self.rest_at + self.rest_len) as usize).unwrap_or_default()
    }

    fn segments<'p>(&'p self, rest: &'p [Segment]) -> impl Iterator<Item = &'p Segment> {
        std::iter::once(&self.first).chain(self.rest_of(rest))
    }
}

/// A chain in the making. Dropped, it leaves no trace.
pub(crate) struct ChainBuilder<'p> {
    pool: &'p mut Pool,
    first: Option<Segment>,
    rest_at: usize,
    capacity: usize,
}

impl ChainBuilder<'_> {
    /// Bytes that the chain can take so far.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a run of a buffer; what lies beyond [`MAX_CHAIN_BYTES`] is not kept.
    #[inline]
    pub(crate) fn add(&mut self, at: Gpa, host: GuestSlice<'_>) {
        let host = host.take(MAX_CHAIN_BYTES - self.capacity);
        if host.is_empty() {
            return;
        }
        self.capacity += host.len();
        let segment = Segment { at, host: host.detach() };
        match self.first {
            None => self.first = Some(segment),
            Some(_) => self.pool.rest.push(segment),
        }
    }

    /// The chain is whole, and takes that many descriptors of the queue's own table. Without a single byte it is not
    /// kept.
    pub(crate) fn finish(mut self, popped: Popped, entries: u16) {
        let Some(first) = self.first.take() else { return };
        let rest_len = (self.pool.rest.len() - self.rest_at) as u32;
        let (rest_at, capacity) = (self.rest_at as u32, self.capacity as u32);
        self.pool.chains.push(Chain { first, rest_at, rest_len, capacity, written: 0, entries, popped });
        self.rest_at = self.pool.rest.len();
    }
}

impl Drop for ChainBuilder<'_> {
    fn drop(&mut self) {
        self.pool.rest.truncate(self.rest_at);
    }
}
