//! Placing frames that the source has.

use super::{DropReason, Lent, Tally};
use crate::ring::{Ring, RingError, SplitTurn, Want};
use crate::spec::{FrameMeta, HeaderRules, MIN_FRAME, NetHeader};

/// The guest's room for frames in one [`recv`](crate::FrameSource::recv).
pub struct RxSpace<'t> {
    pub(crate) ring: SplitTurn<'t>,
    pub(super) rules: HeaderRules,
    pub(super) limits: Limits,
    tally: Tally,
    full: bool,
    /// The lane has declined a frame of this `recv`, and stays shut.
    declined: bool,
    broken: Option<RingError>,
}

/// What bounds a space beside the guest's buffers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Frames that may still be taken.
    pub(crate) frames: usize,
    /// Bytes of frames after which no further one is taken.
    pub(crate) bytes: u64,
    /// Frames are taken and dropped, because the guest has no room and the consumer chose so.
    pub(crate) discard: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Placed {
    /// It is in guest memory: the source may forget it.
    Delivered,
    /// It was dropped and counted: the source may forget it.
    Dropped(DropReason),
    /// There is no room for it now: the source keeps it and offers it again in the next `recv`.
    NoRoom,
}

impl<'t> RxSpace<'t> {
    pub(crate) fn new(ring: SplitTurn<'t>, rules: HeaderRules) -> Self {
        Self {
            ring,
            rules,
            limits: Limits::default(),
            tally: Tally::default(),
            full: false,
            declined: false,
            broken: None,
        }
    }

    /// Opens the space for another `recv`.
    pub(crate) fn open(&mut self, limits: Limits) -> Result<(), RingError> {
        self.limits = limits;
        (self.full, self.declined) = (false, false);
        self.ring.look()?;
        self.open_lane();
        Ok(())
    }

    /// Closes the space after a `recv`; returns what was taken in it.
    pub(crate) fn close(&mut self) -> Tally {
        self.close_lane();
        std::mem::take(&mut self.tally)
    }

    /// Lets plain frames pass by the pool, as far as the limits go.
    fn open_lane(&mut self) {
        let frames = if self.limits.discard || self.declined { 0 } else { self.limits.frames };
        self.ring.open_lane(frames);
    }

    /// Enters the frames that passed by the pool. Their bytes are counted already.
    fn close_lane(&mut self) {
        let placed = self.ring.close_lane();
        self.tally.frames += placed as u64;
        self.take_from_limits(placed);
    }

    fn take_from_limits(&mut self, frames: usize) {
        let left = self.limits.frames.saturating_sub(frames);
        self.limits.frames = if self.tally.bytes < self.limits.bytes { left } else { 0 };
    }

    /// Whether a frame was turned away because the guest has no room for it.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// What was found to be wrong with the ring.
    pub(crate) fn broken(&self) -> Option<RingError> {
        self.broken
    }

    /// Copies a frame, without preamble and checksum, into the guest.
    #[inline]
    pub fn put(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        match meta.is_plain() {
            true if self.put_in_lane(frame) => Placed::Delivered,
            true => self.put_plain(frame),
            false => self.put_in_pool(frame, meta),
        }
    }

    /// Copies plain frames into the guest, from the first on, and stops at the one that has no room; returns how many
    /// the source may forget, delivered or dropped.
    ///
    /// Cheaper than as many [`put`](Self::put)s.
    pub fn put_burst<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> usize {
        let mut done = 0;
        loop {
            let left = frames.get(done..).unwrap_or_default();
            let burst = self.ring.place_burst(self.rules.plain(), self.rules.len(), left);
            self.tally.bytes += burst.bytes as u64;
            done += burst.frames;
            let Some(next) = frames.get(done) else { return done };
            if self.put_plain(next.as_ref()) == Placed::NoRoom {
                return done;
            }
            done += 1;
        }
    }

    #[inline(always)]
    fn put_in_lane(&mut self, frame: &[u8]) -> bool {
        let placed = self.ring.place(self.rules.plain(), self.rules.len(), frame);
        if placed {
            self.tally.bytes += frame.len() as u64;
        }
        placed
    }

    /// Places a plain frame that the lane did not take, perhaps only because it was at its end.
    #[inline(never)]
    fn put_plain(&mut self, frame: &[u8]) -> Placed {
        self.close_lane();
        self.open_lane();
        if self.put_in_lane(frame) {
            return Placed::Delivered;
        }
        // A driver whose chain it declines has more of the kind.
        self.declined = true;
        self.put_in_pool(frame, FrameMeta::PLAIN)
    }

    /// Lends the guest's buffers for up to `frames` frames of at most `largest` bytes, to be read into directly.
    ///
    /// `None` means that there is no room, as [`Placed::NoRoom`] does.
    pub fn lend(&mut self, largest: usize, frames: usize) -> Option<Lent<'_, 't>> {
        self.close_lane();
        Lent::new(self, largest, frames)
    }

    /// Places a frame that is not for the lane.
    fn put_in_pool(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        self.close_lane();
        match self.limits.frames {
            0 => Placed::NoRoom,
            _ => self.put_in_chains(frame, meta),
        }
    }

    fn put_in_chains(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        let header = match self.judge(frame.len(), meta) {
            Ok(header) => header,
            Err(reason) => return self.dropped(reason),
        };
        let need = self.rules.len() + frame.len();
        match self.span(need) {
            Span::Chains(chains) => {
                let header = header.with_buffers(chains as u16);
                let header = header.bytes().get(..self.rules.len()).unwrap_or_default();
                self.ring.pool().fill_many(chains, header, frame);
                self.ring.stage_filled();
                self.delivered(frame.len())
            }
            Span::Short => self.refused(),
            Span::Never => self.dropped(DropReason::TooLong),
        }
    }

    /// The frame's header, or why it is dropped whatever the room.
    pub(super) fn judge(&self, len: usize, meta: FrameMeta) -> Result<NetHeader, DropReason> {
        if self.limits.discard {
            return Err(DropReason::RingFull);
        }
        if len < MIN_FRAME {
            return Err(DropReason::Runt);
        }
        self.rules.header(&meta, len).map_err(|_| DropReason::Offload)
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

    /// Pops chains; a ring that makes no sense has none.
    pub(super) fn reserve(&mut self, want: Want) -> bool {
        self.ring.reserve(want).unwrap_or_else(|error| {
            self.broken = Some(error);
            false
        })
    }

    pub(super) fn delivered(&mut self, len: usize) -> Placed {
        self.tally.frames += 1;
        self.tally.bytes += len as u64;
        self.take_from_limits(1);
        Placed::Delivered
    }

    pub(super) fn dropped(&mut self, reason: DropReason) -> Placed {
        self.take_from_limits(1);
        self.tally.dropped[reason as usize] += 1;
        Placed::Dropped(reason)
    }

    pub(super) fn refused(&mut self) -> Placed {
        self.full = true;
        Placed::NoRoom
    }

    /// Whether the free chains take the whole descriptor table, so that the guest has none left to post.
    pub(super) fn holds_whole_ring(&mut self) -> bool {
        self.ring.pool().free_entries() >= self.ring.size()
    }
}

impl std::fmt::Debug for RxSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxSpace").field("limits", &self.limits).finish_non_exhaustive()
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
