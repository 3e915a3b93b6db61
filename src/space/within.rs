//! For decorators: a share of the space, what was taken of it, and a tape of what was placed. For sources: a space that keeps.
//!
//! A source around a source hands the inner one the space it was given, through [`within`](RxSpace::within) or
//! [`taped`](RxSpace::taped). To the inner source that is a space like any other. All may be nested in any order, and
//! all end when the inner `recv` does, even by a panic.

use super::{DropReason, RxSpace, Tally, Tape};
use crate::ring::Ring;

/// How much a source may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Frames, delivered or dropped.
    pub frames: u64,
    /// Bytes of delivered frames; the frame that reaches the limit is the last.
    pub bytes: u64,
}

/// What a source took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Frames that are in guest memory.
    pub delivered: u64,
    /// Frames that were dropped and counted.
    pub dropped: u64,
    /// Bytes of the delivered ones.
    pub bytes: u64,
    /// Whether there may be room for more in this `recv`, beyond the limit. Without it, another source would be turned
    /// away as well.
    pub room: bool,
}

impl Limit {
    /// Takes nothing from what the space allows by itself.
    pub const NONE: Self = Self { frames: u64::MAX, bytes: u64::MAX };
}

impl<'t> RxSpace<'t> {
    /// Lets `recv` place frames up to `limit`, and says what it took.
    ///
    /// The first frame beyond the limit finds no room, as at the end of the turn's budget: its source keeps it, and the
    /// guest does not count as full. That holds to the frame, for frames that are read if they are no longer than was said
    /// when their buffers were [lent](Self::lend).
    pub fn within<R>(&mut self, limit: Limit, recv: impl FnOnce(&mut Self) -> R) -> (R, Taken) {
        let mut share = Share::new(self, limit);
        let outcome = recv(share.space);
        let taken = share.end();
        (outcome, taken)
    }

    /// Has each frame that `recv` places, or has dropped, recorded on `tape`, behind what is there.
    ///
    /// The tape never has what the guest made of a frame: one that is read is read into the host's memory, and the guest
    /// gets a copy of what is on the tape. Frames take the longer way through the pool meanwhile. A `recv` that panics takes
    /// the tape with it.
    pub fn taped<R>(&mut self, tape: &mut Tape, recv: impl FnOnce(&mut Self) -> R) -> R {
        let mut taping = Taping::new(self, std::mem::take(tape));
        let outcome = recv(taping.space);
        *tape = taping.end();
        outcome
    }

    /// Lets `recv` place frames that are never dropped for want of room, also where the consumer
    /// [has the newest dropped](crate::engine::WhenFull::DropNewest): they find no room.
    ///
    /// For a source whose sender waits without loss, and counts on what was sent to arrive.
    pub fn keeping<R>(&mut self, recv: impl FnOnce(&mut Self) -> R) -> R {
        if !self.discard {
            return recv(self);
        }
        let keeping = Keeping::new(self);
        recv(keeping.0)
    }
}

/// Frames up to the one that reaches a number of bytes.
pub(super) struct UpTo<I> {
    pub(super) frames: I,
    pub(super) bytes: u64,
}

impl<'f, I, F> Iterator for UpTo<I>
where
    I: Iterator<Item = &'f F>,
    F: AsRef<[u8]> + ?Sized + 'f,
{
    type Item = &'f F;

    #[inline]
    fn next(&mut self) -> Option<&'f F> {
        let frame = if self.bytes == 0 { None } else { self.frames.next() }?;
        self.bytes = self.bytes.saturating_sub(frame.as_ref().len() as u64);
        Some(frame)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.frames.size_hint().1)
    }
}

/// A space that was narrowed; it is itself again when this is gone.
struct Share<'s, 't> {
    space: &'s mut RxSpace<'t>,
    /// The limits around it.
    left: usize,
    bytes: u64,
    is_share: bool,
    /// What had been taken before.
    before: Tally,
}

impl<'s, 't> Share<'s, 't> {
    fn new(space: &'s mut RxSpace<'t>, limit: Limit) -> Self {
        space.close_lane();
        let before = space.tally;
        let (left, bytes, is_share) = (space.left, space.budget.bytes, space.is_share);
        space.is_share = is_share || limit.bytes < u64::MAX;
        space.budget.bytes = bytes.min(before.bytes.saturating_add(limit.bytes));
        let frames = if limit.bytes == 0 { 0 } else { limit.frames };
        space.left = left.min(usize::try_from(frames).unwrap_or(usize::MAX));
        space.open_lane();
        Self { space, left, bytes, is_share, before }
    }

    /// What was taken, once the limits are again those around it.
    fn end(&mut self) -> Taken {
        self.restore();
        let (now, before) = (&self.space.tally, &self.before);
        let (taken, delivered) = (now.taken - before.taken, now.delivered - before.delivered);
        Taken {
            delivered,
            dropped: taken - delivered,
            bytes: now.bytes - before.bytes,
            room: self.space.left > 0 && !self.space.full && self.space.ring.broken().is_none(),
        }
    }

    fn restore(&mut self) {
        let space = &mut *self.space;
        space.close_lane();
        let Tally { taken, bytes, .. } = space.tally;
        let left = self.left.saturating_sub((taken - self.before.taken) as usize);
        // A turn whose bytes were spent before allows one frame all the same.
        let spent = bytes > self.before.bytes && bytes >= self.bytes;
        (space.budget.bytes, space.is_share) = (self.bytes, self.is_share);
        space.left = if spent { 0 } else { left };
        space.open_lane();
    }
}

impl Drop for Share<'_, '_> {
    fn drop(&mut self) {
        self.restore();
    }
}

/// A space with a tape in it, which comes out when this is gone.
struct Taping<'s, 't> {
    space: &'s mut RxSpace<'t>,
    /// The tape of a decorator further out.
    outer: Option<Tape>,
    /// How much was on the tape before.
    start: usize,
    declined: bool,
}

impl<'s, 't> Taping<'s, 't> {
    /// The lane stays shut, so that all frames pass where they are recorded.
    fn new(space: &'s mut RxSpace<'t>, tape: Tape) -> Self {
        space.close_lane();
        let declined = std::mem::replace(&mut space.declined, true);
        let start = tape.len();
        let outer = space.tape.replace(tape);
        Self { space, outer, start, declined }
    }

    fn end(&mut self) -> Tape {
        let tape = self.space.tape.take().unwrap_or_default();
        if let Some(outer) = &mut self.outer {
            outer.append(&tape, self.start);
        }
        tape
    }
}

impl Drop for Taping<'_, '_> {
    fn drop(&mut self) {
        self.space.tape = self.outer.take();
        self.space.declined = self.declined;
        self.space.open_lane();
    }
}

/// A space that discards nothing; it does again when this is gone.
struct Keeping<'s, 't>(&'s mut RxSpace<'t>);

impl<'s, 't> Keeping<'s, 't> {
    fn new(space: &'s mut RxSpace<'t>) -> Self {
        space.close_lane();
        space.discard = false;
        space.open_lane();
        Self(space)
    }
}

impl Drop for Keeping<'_, '_> {
    fn drop(&mut self) {
        self.0.close_lane();
        self.0.discard = true;
        self.0.kept |= std::mem::take(&mut self.0.full);
    }
}

impl RxSpace<'_> {
    /// Records a frame whose bytes the source has, whatever became of it.
    pub(super) fn record(&mut self, frame: &[u8], dropped: Option<DropReason>) {
        if let Some(tape) = &mut self.tape {
            tape.push(frame, frame.len(), dropped);
        }
    }
}
