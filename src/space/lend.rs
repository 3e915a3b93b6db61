//! Lending guest buffers to a source that reads its frames.

use super::{DropReason, Placed, RxSpace};
use crate::mem::GuestBuf;
use crate::ring::{MAX_LIST, Ring, Slot, Want};
use crate::spec::{FrameMeta, NetHeader};

/// Guest buffers lent for several frames: a scatter list for each, to be handed to one system call or to several.
///
/// The source reads, then reports each frame in the order of the lists, with [`fill`](Self::fill) or
/// [`cut`](Self::cut). Lists it does not report go back to the free buffers.
///
/// # Example
/// A source of frames that are read one by one, from a descriptor that does not block:
///
/// ```
/// # use netrx::mem::GuestBuf;
/// use std::io::ErrorKind;
/// use netrx::{FrameMeta, Received, RxSpace, SourceError};
/// # struct Link;
/// # struct Read { len: usize, cut: bool }
/// # impl Link {
/// #     fn recvmsg(&self, _: &[GuestBuf]) -> std::io::Result<Read> { Ok(Read { len: 0, cut: false }) }
/// # }
///
/// fn recv(link: &Link, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
///     while let Some(mut lent) = space.lend(1514, 1) {
///         match link.recvmsg(lent.buffers(0)) {
///             Ok(read) if read.len == 0 => return Ok(Received::Closed),
///             // Whatever becomes of it, it was read.
///             Ok(read) if read.cut => _ = lent.cut(), // the system's `MSG_TRUNC`
///             Ok(read) => _ = lent.fill(read.len, FrameMeta::PLAIN),
///             Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Empty),
///             Err(error) if error.kind() == ErrorKind::Interrupted => {}
///             Err(error) => return Err(SourceError::io("read from the link")(error)),
///         }
///     }
///     Ok(Received::More)
/// }
/// ```
#[derive(Debug)]
pub struct Lent<'s, 't> {
    space: &'s mut RxSpace<'t>,
    largest: usize,
    reported: usize,
}

impl<'s, 't> Lent<'s, 't> {
    pub(super) fn new(space: &'s mut RxSpace<'t>, largest: usize, frames: usize) -> Option<Self> {
        let frames = frames.min(space.left).min(space.ring.size());
        if frames == 0 {
            return None;
        }
        space.ring.pool().clear_loan();
        match (space.discard, &space.tape) {
            (false, _) => lend_chains(space, largest, frames),
            (true, None) => space.ring.pool().lend_scratch(largest, frames),
            (true, Some(_)) => space.ring.pool().lend_nothing(largest, frames),
        }
        if space.is_share {
            limit_loan(space, largest);
        }
        if space.tape.is_some() {
            space.ring.pool().set_aside();
        }
        if space.ring.pool().slots.is_empty() {
            let _ = space.refused();
            return None;
        }
        Some(Self { space, largest, reported: 0 })
    }

    /// How many frames may be read; at least one.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.space.ring.loan().slots.len()
    }

    /// Where frame `index` goes: the first byte of the first buffer is the frame's first. Buffers of the guest's that lie side
    /// by side, as drivers often post them, are one here. There are at most 1024: what the system takes in one call.
    #[must_use]
    pub fn buffers(&self, index: usize) -> &[GuestBuf] {
        self.space.ring.loan().buffers(index)
    }

    /// Copies a frame into list `index`, for a source that gets its bytes without a system call; returns how many fit.
    pub fn copy_in(&mut self, index: usize, frame: &[u8]) -> usize {
        let header = self.space.rules.len();
        self.space.ring.loan().copy_in(index, header, frame)
    }

    /// How many bytes a frame in list `index` may have.
    #[must_use]
    pub fn room(&self, index: usize) -> usize {
        self.space.ring.loan().slots.get(index).map_or(0, |slot| slot.room)
    }

    /// Whether the next frame's length must be known before it is read, which is only so for what was lent by
    /// [`lend_any`](RxSpace::lend_any).
    ///
    /// Then the guest merges buffers and has posted less than the largest frame needs: a frame longer than
    /// [`room(0)`](Self::room), which may be none, would be cut, though it may fit later. Ask the system for the length, and
    /// read only if it fits, else report [`too_long`](Self::too_long).
    #[must_use]
    pub fn must_peek(&self) -> bool {
        let merging = self.space.rules.mergeable() && !self.space.discard;
        merging && self.room(0) < self.largest
    }

    /// The next frame was read, all `len` bytes of it.
    pub fn fill(&mut self, len: usize, meta: FrameMeta) -> Placed {
        let Some(next) = self.next() else { return Placed::NoRoom };
        let own = match self.space.judge(len, meta) {
            Ok(_) if len > next.slot.room => return self.drop_read(&next, len, DropReason::TooLong),
            Ok(own) => own,
            Err(reason) => return self.drop_read(&next, len, reason),
        };
        self.pass_tape(&next, len);
        let RxSpace { rules, ring, .. } = &mut *self.space;
        let chains = ring.pool().fill_slot(next.slot, rules.len() + len);
        let mut place = NetHeader::BLANK;
        ring.pool().put_header(chains, rules.bytes(own, chains, &mut place));
        self.space.delivered(len)
    }

    /// The next frame was longer than its buffers and was cut by the system: it is dropped.
    ///
    /// Where the system cuts and does not say so (`readv` from a TAP), one more byte at the end of the list, of the source's
    /// own, shows it.
    pub fn cut(&mut self) -> Placed {
        let Some(next) = self.next() else { return Placed::NoRoom };
        let reason = if self.space.discard { DropReason::RingFull } else { DropReason::TooLong };
        self.drop_read(&next, next.slot.room + 1, reason)
    }

    /// The next frame is longer than [`room(0)`](Self::room), and was not read.
    ///
    /// [`Placed::Dropped`] means that it never will fit, as is always so where it [need not be](Self::must_peek) peeked at:
    /// the source discards it.
    pub fn too_long(mut self) -> Placed {
        if self.space.discard {
            return self.drop_unread(DropReason::RingFull);
        }
        if self.must_peek() && self.may_grow() {
            return self.space.refused();
        }
        self.drop_unread(DropReason::TooLong)
    }

    /// The same, if its lists have room, and as much as they ever will.
    pub(super) fn if_complete(mut self) -> Option<Self> {
        if self.must_peek() && (self.room(0) == 0 || self.may_grow()) {
            let _ = self.space.refused();
            return None;
        }
        Some(self)
    }

    /// Whether the first list can come to have more room than it has.
    fn may_grow(&mut self) -> bool {
        let is_longest = self.space.ring.loan().slots.first().is_some_and(|slot| slot.len == MAX_LIST);
        !is_longest && !self.space.holds_whole_ring()
    }

    /// Drops a frame that was read, as far as there was room for it.
    fn drop_read(&mut self, next: &Next, len: usize, reason: DropReason) -> Placed {
        let RxSpace { tape, ring, .. } = &mut *self.space;
        match tape {
            Some(tape) => {
                tape.push_with(|bytes| ring.loan().copy_aside(next.index, len, bytes), len, Some(reason));
            }
            None => ring.log_dropped(next.slot),
        }
        self.space.dropped(reason)
    }

    /// Drops a frame of which no more is known than that it is too long for the first list.
    fn drop_unread(self, reason: DropReason) -> Placed {
        let len = self.room(0) + 1;
        if let Some(tape) = &mut self.space.tape {
            tape.push(&[], len, Some(reason));
        }
        self.space.dropped(reason)
    }

    /// With a tape, the frame was read aside. The guest gets what is on the tape, so that it cannot be otherwise.
    #[inline]
    fn pass_tape(&mut self, next: &Next, len: usize) {
        let RxSpace { tape: Some(tape), ring, rules, .. } = &mut *self.space else { return };
        let frame = tape.push_with(|bytes| ring.loan().copy_aside(next.index, len, bytes), len, None);
        ring.loan().copy_to_chains(next.slot, rules.len(), frame);
    }

    /// What was lent for the frame that is reported next.
    fn next(&mut self) -> Option<Next> {
        let index = self.reported;
        self.reported += 1;
        self.space.ring.loan().slots.get(index).map(|slot| Next { index, slot: *slot })
    }
}

/// What was lent for a frame.
struct Next {
    index: usize,
    slot: Slot,
}

impl Drop for Lent<'_, '_> {
    /// Stages what was filled.
    fn drop(&mut self) {
        self.space.ring.stage_filled();
    }
}

/// Takes lists back that the frames of the others may leave no bytes for. No frame has more than it has room for.
fn limit_loan(space: &mut RxSpace<'_>, largest: usize) {
    let room = space.ring.loan().slots.iter().map(|slot| slot.room).max().unwrap_or(0);
    let longest = largest.min(room).max(1) as u64;
    let frames = usize::try_from(space.bytes_left() / longest).unwrap_or(usize::MAX);
    space.ring.pool().slots.truncate(frames.max(1));
}

/// No more than so many bytes of merged buffers are taken for more than one frame: what is not needed waits in the pool.
const MOST_AHEAD: usize = 1 << 18;

/// Lists over the free chains: one chain a frame, or as many as the largest frame needs where the guest merges them.
fn lend_chains(space: &mut RxSpace<'_>, largest: usize, frames: usize) {
    let header = space.rules.len();
    if !space.rules.mergeable() {
        space.reserve(Want { chains: frames, bytes: 0 });
        return space.ring.pool().lend(frames, header, 0);
    }
    let need = header.saturating_add(largest);
    // A frame takes whole chains, and they are mostly of one length: that of the first, once there are any for a frame.
    if space.reserve(Want { chains: 1, bytes: need }) && frames > 1 {
        let chain = space.ring.pool().front_capacity().unwrap_or(1);
        let each = need.checked_next_multiple_of(chain).unwrap_or(need);
        let all = each.saturating_mul(frames - 1).saturating_add(need).min(MOST_AHEAD);
        space.reserve(Want { chains: frames, bytes: need.max(all) });
    }
    space.ring.pool().lend(frames, header, need);
}
