//! Placing frames that the source has.

use super::within::UpTo;
use super::{DropReason, Lent, Tally, Tape};
use crate::mem::Header;
use crate::ring::{BurstEnd, Ring, RingError, SplitTurn};
use crate::spec::{Features, FrameMeta, HeaderRules, MIN_FRAME};

/// The guest's room for frames in one [`recv`](crate::FrameSource::recv).
pub struct RxSpace<'t> {
    pub(crate) ring: SplitTurn<'t>,
    pub(super) rules: HeaderRules,
    /// The header of a plain frame in one buffer.
    plain: Header,
    pub(super) budget: Left,
    pub(super) tally: Tally,
    /// Frames that may still be taken in this `recv`.
    pub(super) left: usize,
    /// Frames are taken and dropped, because the guest has no room and the consumer chose so.
    pub(super) discard: bool,
    /// A frame was turned away because the guest has no room for it,
    pub(super) full: bool,
    /// though others may be discarded.
    pub(super) kept: bool,
    /// The lane has declined a frame of this `recv`, and stays shut.
    pub(super) declined: bool,
    /// A decorator has narrowed it to a number of bytes.
    pub(super) is_share: bool,
    /// Where frames are recorded for a decorator.
    pub(super) tape: Option<Tape>,
}

/// What the turn may still take, beside what the guest has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Frames that may still be taken, and chains that made no sense.
    frames: usize,
    /// Bytes of frames, of the whole turn, after which no further one is taken.
    pub(super) bytes: u64,
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
    #[inline(always)]
    pub(crate) fn new(ring: SplitTurn<'t>, rules: HeaderRules, frames: usize, bytes: u64) -> Self {
        Self {
            ring,
            rules,
            plain: Header::new(rules.plain().bytes(), rules.len(), MIN_FRAME),
            budget: Left { frames, bytes },
            tally: Tally::default(),
            left: 0,
            discard: false,
            full: false,
            kept: false,
            declined: false,
            is_share: false,
            tape: None,
        }
    }

    /// Opens the space for another `recv`, of at least one frame and `most` at the most.
    ///
    /// To `discard` frames stands for the room that the guest has not: none is discarded if the driver has posted more
    /// meanwhile, and only one while there is room left that a smaller frame may fit.
    #[inline(always)]
    pub(crate) fn open(&mut self, discard: bool, most: usize) -> Result<(), RingError> {
        self.ring.look()?;
        let posted = discard && self.ring.has_more();
        if posted {
            self.charge(1);
        }
        let discard = discard && !posted;
        self.left = match discard && self.ring.pool().free() > 0 {
            true => 1,
            false => self.budget.frames.min(most).max(1),
        };
        (self.discard, self.declined) = (discard, false);
        (self.full, self.kept) = (false, false);
        self.open_lane();
        Ok(())
    }

    /// Closes the space after a `recv`. What was filled of a loan that was forgotten, and so never ended, is staged here.
    #[inline]
    pub(crate) fn close(&mut self) {
        self.close_lane();
        if self.ring.loan().filled() > 0 {
            self.stage_forgotten();
        }
    }

    #[cold]
    fn stage_forgotten(&mut self) {
        self.ring.stage_filled();
    }

    /// Takes work off the budget that gave no frame.
    pub(crate) fn charge(&mut self, work: usize) {
        self.budget.frames = self.budget.frames.saturating_sub(work);
    }

    /// Whether the turn's budget is spent.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.budget.frames == 0 || self.tally.bytes >= self.budget.bytes || self.ring.is_spent()
    }

    /// What was taken so far.
    #[inline]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets plain frames pass by the pool, as far as the limits go.
    #[inline]
    pub(super) fn open_lane(&mut self) {
        let frames = if self.discard || self.declined { 0 } else { self.left };
        self.ring.open_lane(frames);
    }

    /// Enters the frames that passed by the pool. Their bytes are counted already.
    #[inline]
    pub(super) fn close_lane(&mut self) {
        let placed = self.ring.close_lane();
        self.tally.delivered += placed as u64;
        self.took(placed);
    }

    /// Enters frames that left their source.
    #[inline]
    fn took(&mut self, frames: usize) {
        if frames == 0 {
            return;
        }
        self.tally.taken += frames as u64;
        self.charge(frames);
        let left = self.left.saturating_sub(frames);
        self.left = if self.tally.bytes < self.budget.bytes { left } else { 0 };
    }

    /// Bytes of frames that may still be taken.
    #[inline]
    pub(super) fn bytes_left(&self) -> u64 {
        self.budget.bytes.saturating_sub(self.tally.bytes)
    }

    /// Whether a frame was turned away because the guest has no room for it.
    pub(crate) fn is_full(&self) -> bool {
        self.full || self.kept
    }

    /// The features that the driver acknowledged: what a source that makes its frames may leave to the guest.
    #[must_use]
    pub fn features(&self) -> Features {
        self.rules.features()
    }

    /// Copies a frame, without preamble and checksum, into the guest.
    #[inline]
    pub fn put(&mut self, frame: &[u8], meta: FrameMeta) -> Placed {
        if self.is_share {
            self.shut_spent_lane();
        }
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
    pub fn put_burst<'f, I, F>(&mut self, frames: I) -> usize
    where
        I: IntoIterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        if self.is_share {
            return self.put_share(frames.into_iter());
        }
        self.place_bursts(&mut frames.into_iter())
    }

    /// The turn's own limit may be overrun by a batch, a share not.
    #[inline(never)]
    fn put_share<'f, F>(&mut self, frames: impl Iterator<Item = &'f F>) -> usize
    where
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        self.place_bursts(&mut UpTo { frames, bytes: self.bytes_left().max(1) })
    }

    #[inline(always)]
    fn place_bursts<'f, I, F>(&mut self, frames: &mut I) -> usize
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let mut done = 0;
        loop {
            let burst = self.ring.place_burst(&self.plain, frames, &mut self.tally.bytes);
            done += burst.frames;
            let next = match burst.end {
                BurstEnd::Declined(frame) => Some(frame),
                BurstEnd::Lane => frames.next(),
                BurstEnd::Frames => None,
            };
            let Some(next) = next else { return done };
            if self.put_plain(next.as_ref()) == Placed::NoRoom {
                return done;
            }
            done += 1;
            if self.declined {
                return done + self.put_all_in_pool(frames);
            }
        }
    }

    /// Places plain frames that the lane will not take, up to the one that has no room; returns how many.
    fn put_all_in_pool<'f, F>(&mut self, frames: impl Iterator<Item = &'f F>) -> usize
    where
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let placed = frames.map(|frame| self.put_in_pool(frame.as_ref(), FrameMeta::PLAIN));
        placed.take_while(|placed| *placed != Placed::NoRoom).count()
    }

    #[inline(always)]
    fn put_in_lane(&mut self, frame: &[u8]) -> bool {
        let placed = self.ring.place(&self.plain, frame).is_some();
        self.tally.bytes += if placed { frame.len() as u64 } else { 0 };
        placed
    }

    /// Shuts the lane once the bytes of a share are used up.
    #[inline(never)]
    fn shut_spent_lane(&mut self) {
        if self.tally.bytes >= self.budget.bytes {
            self.close_lane();
        }
    }

    /// Places a plain frame that the lane did not take, perhaps only because it was at its end.
    #[inline(never)]
    fn put_plain(&mut self, frame: &[u8]) -> Placed {
        let is_for_guest = frame.len() >= MIN_FRAME && !self.discard;
        if is_for_guest && !self.declined {
            self.close_lane();
            if self.left == 0 {
                return Placed::NoRoom;
            }
            if !self.ring.has_more() {
                // A ring that makes no sense has nothing, and remembers why.
                let _ = self.ring.look();
            }
            self.open_lane();
            if self.put_in_lane(frame) {
                return Placed::Delivered;
            }
            // A driver whose chain it declines has more of the kind.
            self.declined = true;
        }
        self.put_in_pool(frame, FrameMeta::PLAIN)
    }

    /// Lends the guest's buffers for up to `frames` frames of at most `largest` bytes, to be read into directly.
    ///
    /// `None` means that there is no room, as [`Placed::NoRoom`] does: for a frame of that length, unless the guest could never
    /// have room for one. So what does not fit is too long, and may be cut.
    pub fn lend(&mut self, largest: usize, frames: usize) -> Option<Lent<'_, 't>> {
        self.lend_any(largest, frames)?.if_complete()
    }

    /// The same, also if there is only room for shorter frames as yet: for a source that can tell a frame's length before it
    /// reads it. It has to look where [`Lent::must_peek`] says so.
    pub fn lend_any(&mut self, largest: usize, frames: usize) -> Option<Lent<'_, 't>> {
        self.close_lane();
        Lent::new(self, largest, frames)
    }

    pub(super) fn delivered(&mut self, len: usize) -> Placed {
        self.tally.delivered += 1;
        self.tally.bytes += len as u64;
        self.took(1);
        Placed::Delivered
    }

    pub(super) fn dropped(&mut self, reason: DropReason) -> Placed {
        self.took(1);
        self.tally.dropped[reason as usize] += 1;
        Placed::Dropped(reason)
    }

    pub(super) fn refused(&mut self) -> Placed {
        self.full = true;
        Placed::NoRoom
    }
}

impl std::fmt::Debug for RxSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxSpace").field("left", &self.left).finish_non_exhaustive()
    }
}
