//! Placing frames that the source has.

use super::{DropReason, Lent, Pool, Tally};
use crate::spec::{FrameMeta, HeaderRules, MIN_FRAME};

/// The room that a source may fill in one [`recv`](crate::FrameSource::recv).
///
/// It is popped guest buffers, and the rules of the header in front of each frame. What is placed here is in guest
/// memory at once; the guest is told of all of it together, after `recv` has returned.
#[derive(Debug)]
pub struct RxSpace<'a> {
    pub(super) pool: &'a mut Pool,
    pub(super) rules: &'a HeaderRules,
    pub(super) tally: &'a mut Tally,
    pub(super) limits: Limits,
    pub(super) refusal: Refusal,
}

/// What bounds a space beside its buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Frames that may still be taken.
    pub(crate) frames: usize,
    /// Bytes of frames after which no further one is taken.
    pub(crate) bytes: u64,
    /// The ring's size: a frame that a ring full of buffers cannot hold will never fit.
    pub(crate) ring_size: usize,
    /// The ring has no more chains than the pool holds.
    pub(crate) ring_dry: bool,
    /// Frames are taken and dropped, because the guest has no room and the consumer chose so.
    pub(crate) discard: bool,
}

/// What the space had to turn away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing.
    #[default]
    None,
    /// A loan for frames of unknown length, which had better have this many bytes of free chains, but would take less.
    Wishes(usize),
    /// A frame that needs this many bytes of free chains, header included.
    Needs(usize),
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

impl<'a> RxSpace<'a> {
    pub(crate) fn new(
        pool: &'a mut Pool,
        rules: &'a HeaderRules,
        tally: &'a mut Tally,
        limits: Limits,
    ) -> Self {
        Self { pool, rules, tally, limits, refusal: Refusal::None }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// Copies a frame, without preamble and checksum, into the guest.
    #[inline]
    pub fn put(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        let simple =
            meta.is_plain() && frame.len() >= MIN_FRAME && self.limits.frames > 0 && !self.limits.discard;
        if simple && self.pool.fill_front(self.rules.plain().bytes(), self.rules.len(), frame) {
            return self.delivered(frame.len());
        }
        self.put_slowly(frame, &meta)
    }

    /// Lends the guest's buffers for up to `frames` frames of at most `largest` bytes, to be read into directly.
    ///
    /// `None` means that there is no room, as [`Placed::NoRoom`] does.
    pub fn lend(&mut self, largest: usize, frames: usize) -> Option<Lent<'_, 'a>> {
        Lent::new(self, largest, frames)
    }

    #[inline(never)]
    fn put_slowly(&mut self, frame: &[u8], meta: &FrameMeta) -> Placed {
        if self.limits.frames == 0 {
            return Placed::NoRoom;
        }
        let header = match self.judge(frame.len(), meta) {
            Ok(header) => header,
            Err(reason) => return self.dropped(reason),
        };
        let need = self.rules.len() + frame.len();
        match self.span(need) {
            Span::Chains(chains) => {
                let header = header.with_buffers(chains as u16);
                let header = header.bytes().get(..self.rules.len()).unwrap_or_default();
                self.pool.fill_many(chains, header, frame);
                self.delivered(frame.len())
            }
            Span::Short => self.refused(need),
            Span::Never => self.dropped(DropReason::TooLong),
        }
    }

    /// The frame's header, or why it is dropped whatever the room.
    pub(super) fn judge(&self, len: usize, meta: &FrameMeta) -> Result<crate::spec::NetHeader, DropReason> {
        if self.limits.discard {
            return Err(DropReason::RingFull);
        }
        if len < MIN_FRAME {
            return Err(DropReason::Runt);
        }
        self.rules.header(meta, len).map_err(|_| DropReason::Offload)
    }

    /// How many of the free chains hold `need` bytes.
    fn span(&self, need: usize) -> Span {
        if !self.rules.mergeable() {
            return match self.pool.front() {
                None => Span::Short,
                Some(chain) if chain.capacity as usize >= need => Span::Chains(1),
                Some(_) => Span::Never,
            };
        }
        let mut room = 0;
        for (index, chain) in self.pool.free_chains().enumerate() {
            room += chain.capacity as usize;
            if room >= need {
                return Span::Chains(index + 1);
            }
        }
        if self.holds_whole_ring() { Span::Never } else { Span::Short }
    }

    pub(super) fn delivered(&mut self, len: usize) -> Placed {
        self.tally.frames += 1;
        self.tally.bytes += len as u64;
        self.limits.frames = if self.tally.bytes < self.limits.bytes { self.limits.frames - 1 } else { 0 };
        Placed::Delivered
    }

    pub(super) fn dropped(&mut self, reason: DropReason) -> Placed {
        self.limits.frames -= 1;
        self.tally.dropped[reason as usize] += 1;
        Placed::Dropped(reason)
    }

    pub(super) fn refused(&mut self, need: usize) -> Placed {
        self.refusal = Refusal::Needs(need);
        Placed::NoRoom
    }

    pub(super) fn wished(&mut self, bytes: usize) {
        self.refusal = Refusal::Wishes(bytes);
    }

    /// Whether the ring can hold no more than the pool already does.
    pub(super) fn holds_whole_ring(&self) -> bool {
        self.pool.free() >= self.limits.ring_size
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
