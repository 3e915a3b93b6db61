//! Placing frames that the lane does not take: over the chains of the pool.

use super::{DropReason, Placed, RxSpace};
use crate::ring::{Ring, Want};
use crate::spec::{FrameMeta, MIN_FRAME, NetHeader};

impl RxSpace<'_> {
    /// Places a frame that is not for the lane.
    pub(super) fn put_in_pool(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        self.close_lane();
        let placed = match self.left {
            0 => Placed::NoRoom,
            _ => self.put_in_chains(frame, meta),
        };
        match placed {
            Placed::Delivered => self.record(frame, None),
            Placed::Dropped(reason) => self.record(frame, Some(reason)),
            Placed::NoRoom => {}
        }
        placed
    }

    fn put_in_chains(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        let own = match self.judge(frame.len(), meta) {
            Ok(own) => own,
            Err(reason) => return self.dropped(reason),
        };
        let need = self.rules.len() + frame.len();
        match self.span(need) {
            Span::Chains(chains) => {
                let mut place = NetHeader::BLANK;
                let header = self.rules.bytes(own, chains as u16, &mut place);
                self.ring.pool().fill_many(chains, header, frame);
                self.ring.stage_filled();
                self.delivered(frame.len())
            }
            Span::Short => self.refused(),
            Span::Never => self.dropped(DropReason::TooLong),
        }
    }

    /// The frame's own header, if it is not the plain one, or why it is dropped whatever the room.
    #[inline]
    pub(super) fn judge(&self, len: usize, meta: FrameMeta) -> Result<Option<NetHeader>, DropReason> {
        if self.discard {
            return Err(DropReason::RingFull);
        }
        if len < MIN_FRAME {
            return Err(DropReason::Runt);
        }
        if meta.is_plain() {
            return Ok(None);
        }
        self.rules.header(&meta, len).map(Some).map_err(|_| DropReason::Offload)
    }

    /// Finds the chains for `need` bytes, popping as many as that takes.
    fn span(&mut self, need: usize) -> Span {
        if !self.rules.mergeable() {
            self.reserve(Want { chains: 1, bytes: 0 });
            return match self.ring.pool().front_capacity() {
                None => Span::Short,
                Some(capacity) if capacity >= need => Span::Chains(1),
                Some(_) => Span::Never,
            };
        }
        self.reserve(Want { chains: 1, bytes: need });
        let mut room = 0;
        for (index, capacity) in self.ring.pool().capacities().enumerate() {
            room += capacity;
            if room >= need {
                return Span::Chains(index + 1);
            }
        }
        if self.holds_whole_ring() { Span::Never } else { Span::Short }
    }

    /// Pops chains; a ring that makes no sense has none, and remembers why.
    pub(super) fn reserve(&mut self, want: Want) -> bool {
        self.ring.reserve(want).unwrap_or(false)
    }

    /// Whether the free chains leave fewer descriptors of the table than the smallest of them takes, so that the guest has no
    /// further one to post.
    pub(super) fn holds_whole_ring(&mut self) -> bool {
        let size = self.ring.size();
        let (held, smallest) = self
            .ring
            .pool()
            .entries()
            .fold((0, size), |(held, smallest), entries| (held + entries, smallest.min(entries)));
        held + smallest > size
    }
}

/// Where a frame would go.
enum Span {
    /// Into this many of the free chains.
    Chains(usize),
    /// Into more chains than there are now.
    Short,
    /// Into no chain that the guest can post.
    Never,
}
