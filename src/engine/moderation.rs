//! When to interrupt the guest under load: a pure function of counts and time.
//!
//! ```text
//! source: more frames ready -> held until `max_frames` or `max_delay`
//!         empty             -> at once; under load, not before the window since the last interrupt has passed
//!         the guest is full, or nothing more will come -> at once
//! ```
//!
//! The window is what adapts. It is nothing while frames are few, so that a lone frame never waits; it doubles with each
//! interrupt while frames come so fast that holding one back gathers many, up to the bound that the consumer set; and it is
//! nothing again as soon as they do not.

use std::time::{Duration, Instant};

/// How interrupts are held back under load.
///
/// Batching comes from load, not from waiting: a lone frame interrupts at once, and so do a full ring and the end of the
/// source. While the source has more frames ready, interrupts are held back until one of two limits is reached; while
/// it runs empty again and again under load, for no longer than [`gather`](Self::gather).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moderation {
    /// While more frames are ready, interrupt after at most this many; batches end there. 0 is as 1.
    pub max_frames: u32,
    /// While more frames are ready, interrupt this long after the first one that the guest was not told of, at the latest.
    /// Looked at after each batch; one [`recv`](crate::FrameSource::recv) takes as long as its source needs.
    pub max_delay: Duration,
    /// Under load, interrupts may come this far apart even though the source is empty in between: the latency that a frame
    /// may be given for fewer interrupts. Zero holds nothing back for want of frames.
    pub gather: Duration,
}

impl Default for Moderation {
    /// 256 frames, which is all that a usual ring holds, or 100 microseconds; nothing is held back for want of frames.
    fn default() -> Self {
        Self { max_frames: 256, max_delay: Duration::from_micros(100), gather: Duration::ZERO }
    }
}

impl Moderation {
    /// Holds nothing back: an interrupt for each batch, however large the source makes it.
    pub const NONE: Self = Self { max_frames: u32::MAX, max_delay: Duration::ZERO, gather: Duration::ZERO };

    /// Adapts to the load within `latency`, which is the longest that a frame's interrupt may be held back.
    #[must_use]
    pub const fn adaptive(latency: Duration) -> Self {
        Self { max_frames: 256, max_delay: latency, gather: latency }
    }
}

/// What is owed to the guest.
#[derive(Debug)]
pub(super) struct Moderator {
    limits: Moderation,
    owed: u32,
    since: Option<Instant>,
    forced: bool,
    window: Window,
}

/// What may be expected of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// More frames are ready.
    Busy,
    /// None is, and the worker is about to sleep.
    Quiet,
    /// None can come before the guest was told: it has no room, or the source is at its end.
    Over,
}

impl Moderator {
    pub(super) fn new(limits: Moderation) -> Self {
        Self { limits, owed: 0, since: None, forced: false, window: Window::default() }
    }

    /// The guest has been shown used entries, with `frames` in them, at `now`.
    #[inline]
    pub(super) fn published(&mut self, frames: u32, now: Instant) {
        self.owed = self.owed.saturating_add(frames);
        self.since.get_or_insert(now);
    }

    /// How many frames the next batch may have, so that it does not pass the limit; at least one.
    #[inline]
    pub(super) fn batch(&self) -> u32 {
        match self.limits.max_frames.saturating_sub(self.owed) {
            // The window holds the interrupt back for longer.
            0 => self.limits.max_frames.max(1),
            left => left,
        }
    }

    /// Whether an interrupt is held back that only the time can make due.
    #[inline]
    pub(super) fn awaits_time(&self) -> bool {
        let held = self.owed < self.limits.max_frames || !self.window.len.is_zero();
        held && self.since.is_some() && !self.forced
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
        match load {
            Load::Over => true,
            Load::Quiet => !self.window.holds(now),
            Load::Busy => {
                let limit = self.owed >= self.limits.max_frames
                    || now.saturating_duration_since(since) >= self.limits.max_delay;
                limit && !self.window.holds(now)
            }
        }
    }

    /// Until when an interrupt is held back for want of frames, if one is.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.since.and(self.window.end())
    }

    /// The guest did not want to be interrupted.
    #[inline]
    pub(super) fn suppressed(&mut self) {
        self.window.frames = self.window.frames.saturating_add(self.owed);
        self.settle();
    }

    /// The guest was interrupted, at `now`.
    #[inline]
    pub(super) fn raised(&mut self, now: Instant) {
        if !self.limits.gather.is_zero() {
            self.window.raised(self.owed, self.limits.gather, now);
        }
        self.settle();
    }

    fn settle(&mut self) {
        (self.owed, self.since, self.forced) = (0, None, false);
    }
}

/// How far apart interrupts are to come, at present.
#[derive(Debug, Default)]
struct Window {
    len: Duration,
    /// When the guest was last interrupted.
    last: Option<Instant>,
    /// Frames since then that the guest took without an interrupt.
    frames: u32,
}

/// Fewer frames than this within the bound are not worth holding an interrupt back.
const WORTH: u128 = 8;
/// The window's first step, as a part of the bound.
const FIRST: u32 = 8;

impl Window {
    #[inline]
    fn holds(&self, now: Instant) -> bool {
        !self.len.is_zero() && self.end().is_some_and(|end| now < end)
    }

    fn end(&self) -> Option<Instant> {
        self.last.filter(|_| !self.len.is_zero())?.checked_add(self.len)
    }

    /// The guest was interrupted for `owed` frames.
    fn raised(&mut self, owed: u32, bound: Duration, now: Instant) {
        let frames = std::mem::take(&mut self.frames).saturating_add(owed);
        let last = self.last.replace(now);
        let gap = last.map_or(Duration::MAX, |last| now.saturating_duration_since(last));
        self.len = self.next(frames, gap, bound);
    }

    /// The window after `frames` have come within `gap`.
    fn next(&self, frames: u32, gap: Duration, bound: Duration) -> Duration {
        let would_gather = bound.as_nanos().saturating_mul(u128::from(frames)) / gap.as_nanos().max(1);
        if would_gather < WORTH {
            return Duration::ZERO;
        }
        self.len.saturating_mul(2).clamp(bound / FIRST, bound)
    }
}

#[cfg(test)]
mod tests;
