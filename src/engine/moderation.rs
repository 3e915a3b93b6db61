//! When to interrupt the guest under load: a pure function of counts and time.

use std::time::{Duration, Instant};

/// How interrupts are held back under load.
///
/// Batching comes from load, never from waiting: an empty source, a full ring and the end of the source interrupt at
/// once. Only while the source has more frames ready are interrupts held back, until one of the two limits is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moderation {
    /// Interrupt after at most this many frames.
    pub max_frames: u32,
    /// Interrupt at most this long after the first frame that the guest was not told of.
    pub max_delay: Duration,
}

impl Default for Moderation {
    /// 64 frames or 100 microseconds.
    fn default() -> Self {
        Self { max_frames: 64, max_delay: Duration::from_micros(100) }
    }
}

impl Moderation {
    /// Holds nothing back: an interrupt for each batch.
    pub const NONE: Self = Self { max_frames: 1, max_delay: Duration::ZERO };
}

/// What is owed to the guest.
#[derive(Debug)]
pub(super) struct Moderator {
    limits: Moderation,
    owed: u32,
    since: Option<Instant>,
    forced: bool,
}

/// Whether the source has more frames ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// More are ready: interrupts may be held back.
    Busy,
    /// The worker is about to sleep: nothing may be held back.
    Quiet,
}

impl Moderator {
    pub(super) fn new(limits: Moderation) -> Self {
        Self { limits, owed: 0, since: None, forced: false }
    }

    /// The guest has been shown `entries` more, at `now`.
    #[inline]
    pub(super) fn published(&mut self, entries: u16, now: Instant) {
        if entries > 0 {
            self.owed = self.owed.saturating_add(u32::from(entries));
            self.since.get_or_insert(now);
        }
    }

    /// Owes an interrupt that the guest's own wishes do not suppress.
    pub(super) fn force(&mut self) {
        self.forced = true;
    }

    #[inline]
    pub(super) fn is_forced(&self) -> bool {
        self.forced
    }

    /// Whether it is time to interrupt.
    #[inline]
    pub(super) fn is_due(&self, load: Load, now: Instant) -> bool {
        if self.forced {
            return true;
        }
        let Some(since) = self.since else { return false };
        load == Load::Quiet
            || self.owed >= self.limits.max_frames
            || now.saturating_duration_since(since) >= self.limits.max_delay
    }

    /// The guest was interrupted, or did not want to be.
    #[inline]
    pub(super) fn settled(&mut self) {
        (self.owed, self.since, self.forced) = (0, None, false);
    }
}

#[cfg(test)]
mod tests {
    //! Made-up time against the rules above.

    use super::*;

    fn after(micros: u64, start: Instant) -> Instant {
        start + Duration::from_micros(micros)
    }

    #[test]
    fn nothing_owed_is_never_due() {
        let now = Instant::now();
        let moderator = Moderator::new(Moderation::NONE);
        assert!(!moderator.is_due(Load::Quiet, now));
        assert!(!moderator.is_due(Load::Busy, after(1_000_000, now)));
    }

    #[test]
    fn a_lone_frame_is_due_at_once() {
        let now = Instant::now();
        let mut moderator = Moderator::new(Moderation::default());
        moderator.published(1, now);
        assert!(moderator.is_due(Load::Quiet, now));
    }

    #[test]
    fn load_holds_back_until_either_limit() {
        let start = Instant::now();
        let limits = Moderation { max_frames: 10, max_delay: Duration::from_micros(50) };
        let mut moderator = Moderator::new(limits);
        moderator.published(9, start);
        assert!(!moderator.is_due(Load::Busy, after(49, start)));
        assert!(moderator.is_due(Load::Busy, after(50, start)), "the delay counts from the first frame");
        moderator.published(1, after(10, start));
        assert!(moderator.is_due(Load::Busy, after(10, start)), "ten frames are owed");
        moderator.settled();
        assert!(!moderator.is_due(Load::Quiet, after(60, start)));
    }

    #[test]
    fn a_forced_interrupt_needs_no_frame() {
        let now = Instant::now();
        let mut moderator = Moderator::new(Moderation::default());
        moderator.force();
        assert!(moderator.is_due(Load::Busy, now));
    }
}
