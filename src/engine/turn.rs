//! One turn: the five steps, in order.

use std::time::Instant;

use super::moderation::{Load, Moderator};
use super::{Clock, Counters, EngineConfig, EngineError, Progress, WhenFull};
use crate::irq::{IrqError, IrqLine, insist};
use crate::ring::Ring;
use crate::source::{FrameSource, Received, SourceError};
use crate::space::RxSpace;

/// The parts of an engine for the length of a turn.
pub(super) struct Turn<'t, I> {
    pub(super) space: RxSpace<'t>,
    pub(super) irq: &'t mut I,
    pub(super) moderator: &'t mut Moderator,
    pub(super) config: &'t EngineConfig,
    pub(super) counters: &'t Counters,
    pub(super) clock: &'t dyn Clock,
    pub(super) now: Instant,
    /// Frames of this turn that the guest was shown.
    pub(super) shown: u64,
}

impl<I> Drop for Turn<'_, I> {
    /// Enters in the counters what the turn came to, even if its source panicked.
    fn drop(&mut self) {
        self.space.close();
        self.counters.enter(self.space.tally(), &self.space.ring.ledger());
    }
}

impl<I: IrqLine> Turn<'_, I> {
    /// Repeats the steps until something ends the turn.
    pub(super) fn run<S: FrameSource + ?Sized>(&mut self, source: &mut S) -> Result<Progress, EngineError> {
        let mut discard = false;
        loop {
            let before = self.space.tally().taken;
            let outcome = self.copy(source, discard)?;
            self.publish();
            if let Some(error) = self.space.ring.broken() {
                return Err(error.into());
            }
            let full = self.space.is_full();
            let notified = self.notify(match outcome {
                Ok(Received::More) if !full => Load::Busy,
                Ok(Received::Empty) if !full => Load::Quiet,
                _ => Load::Over,
            });
            // A line that fails as well stays in debt, and is counted; the source's error is the one to tell.
            let received = outcome?;
            notified?;
            let is_idle = self.space.tally().taken == before;
            if let Some(progress) = self.judge(received, !full && is_idle) {
                return Ok(progress);
            }
            // A source that keeps its frames had none dropped when it was asked to.
            let keeps = discard && is_idle;
            discard = full && !keeps && self.config.when_full == WhenFull::DropNewest;
            if full
                && !discard
                && let Some(progress) = self.starve()
            {
                return Ok(progress);
            }
        }
    }

    /// Reserve, copy, commit: the source places frames, or has one dropped that has no room.
    #[inline]
    fn copy<S: FrameSource + ?Sized>(
        &mut self,
        source: &mut S,
        discard: bool,
    ) -> Result<Result<Received, SourceError>, EngineError> {
        self.space.open(discard, self.moderator.batch() as usize)?;
        let bad = self.space.ring.ledger().bad;
        let outcome = source.recv(&mut self.space);
        self.space.close();
        self.space.charge((self.space.ring.ledger().bad - bad) as usize);
        Ok(outcome)
    }

    /// Shows the guest what was committed.
    #[inline]
    fn publish(&mut self) {
        if self.space.ring.publish() > 0 {
            let delivered = self.space.tally().delivered;
            let frames = delivered - std::mem::replace(&mut self.shown, delivered);
            self.moderator.published(frames as u32, self.now);
        }
    }

    /// Interrupts the guest if that is due and wanted.
    #[inline(always)]
    fn notify(&mut self, load: Load) -> Result<(), IrqError> {
        if load == Load::Busy && self.moderator.awaits_time() {
            self.now = self.clock.now();
        }
        if !self.moderator.is_due(load, self.now) {
            return Ok(());
        }
        let wanted = self.space.ring.wants_interrupt();
        if !wanted && !self.moderator.is_forced() {
            self.counters.irq_suppressed();
            self.moderator.suppressed();
            return Ok(());
        }
        // Owed until it is raised, whether the line fails or panics.
        self.moderator.force();
        match self.irq.raise() {
            Ok(()) => {
                self.counters.irq_raised();
                self.moderator.raised(self.now);
                Ok(())
            }
            Err(error) => {
                self.counters.irq_failed();
                Err(error)
            }
        }
    }

    /// What the source's answer means for the turn; `None` goes on. A source that is `idle` has placed nothing though there
    /// was room.
    #[inline]
    fn judge(&self, received: Received, idle: bool) -> Option<Progress> {
        match received {
            Received::Empty => Some(Progress::Idle),
            Received::Closed => Some(Progress::Closed),
            Received::More if idle || self.space.is_spent() => Some(Progress::More),
            Received::More => None,
        }
    }

    /// Asks the guest for a kick; `None` if it has posted more meanwhile. Another look is work, too.
    fn starve(&mut self) -> Option<Progress> {
        if self.space.ring.arm() {
            self.space.charge(1);
            return None;
        }
        self.counters.starved();
        Some(Progress::Starved)
    }

    /// Delivers what is filled and gives back what is free.
    ///
    /// Nobody will call again: a busy line is tried for a tenth of a second. One that fails then is counted, and the interrupt
    /// stays owed.
    pub(super) fn finish(&mut self) {
        self.space.ring.stage_filled();
        self.space.ring.give_back();
        self.publish();
        let _ = insist(|| self.notify(Load::Over));
    }
}
