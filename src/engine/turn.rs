//! One turn: the five steps, in order.

use std::time::Instant;

use super::moderation::{Load, Moderator};
use super::{Budget, Counters, EngineConfig, EngineError, Progress, WhenFull};
use crate::irq::IrqLine;
use crate::ring::Ring;
use crate::source::{FrameSource, Received, SourceError};
use crate::space::{Limits, RxSpace};

/// The parts of an engine for the length of a turn.
pub(super) struct Turn<'t, I> {
    pub(super) space: RxSpace<'t>,
    pub(super) irq: &'t mut I,
    pub(super) moderator: &'t mut Moderator,
    pub(super) config: &'t EngineConfig,
    pub(super) counters: &'t Counters,
    pub(super) now: Instant,
    /// What is left of the budget.
    pub(super) budget: Budget,
}

/// What a source did with the room it was given.
struct Copied {
    outcome: Result<Received, SourceError>,
    frames: u64,
}

impl<I: IrqLine> Turn<'_, I> {
    /// Repeats the steps until something ends the turn.
    pub(super) fn run<S: FrameSource + ?Sized>(&mut self, source: &mut S) -> Result<Progress, EngineError> {
        let mut discard = false;
        loop {
            let copied = self.copy(source, discard)?;
            self.publish();
            if let Some(error) = self.space.broken() {
                return Err(error.into());
            }
            let full = self.space.is_full();
            if let Some(progress) = self.judge(copied, full)? {
                return Ok(progress);
            }
            discard = full && self.config.when_full == WhenFull::DropNewest;
            if full
                && !discard
                && let Some(progress) = self.starve()?
            {
                return Ok(progress);
            }
        }
    }

    /// Reserve, copy, commit: the source places frames, or has one dropped that has no room.
    fn copy<S: FrameSource + ?Sized>(
        &mut self,
        source: &mut S,
        discard: bool,
    ) -> Result<Copied, EngineError> {
        let one = discard && self.space.ring.pool().free() > 0;
        let frames = if one { 1 } else { self.budget.frames.max(1) as usize };
        self.space.open(Limits { frames, bytes: self.budget.bytes, discard })?;
        let bad = self.space.ring.ledger().bad;
        let outcome = source.recv(&mut self.space);
        let tally = self.space.close();
        let ledger = self.space.ring.ledger();
        self.counters.enter(&tally, &ledger);
        let work = tally.taken() + (ledger.bad - bad);
        self.budget.frames = self.budget.frames.saturating_sub(u32::try_from(work).unwrap_or(u32::MAX));
        self.budget.bytes = self.budget.bytes.saturating_sub(tally.bytes);
        Ok(Copied { outcome, frames: tally.taken() })
    }

    /// Shows the guest what was committed.
    fn publish(&mut self) {
        let entries = self.space.ring.publish();
        self.moderator.published(entries, self.now);
    }

    /// Interrupts the guest if that is due and wanted.
    fn notify(&mut self, load: Load) -> Result<(), EngineError> {
        if !self.moderator.is_due(load, self.now) {
            return Ok(());
        }
        let wanted = self.space.ring.wants_interrupt();
        if !wanted && !self.moderator.is_forced() {
            self.counters.irq_suppressed();
            self.moderator.settled();
            return Ok(());
        }
        match self.irq.raise() {
            Ok(()) => {
                self.counters.irq_raised();
                self.moderator.settled();
                Ok(())
            }
            Err(error) => {
                self.counters.irq_failed();
                self.moderator.force();
                Err(error.into())
            }
        }
    }

    /// What the source's answer means for the turn; `None` goes on.
    fn judge(&mut self, copied: Copied, full: bool) -> Result<Option<Progress>, EngineError> {
        let received = match copied.outcome {
            Ok(received) => received,
            Err(error) => {
                // A line that fails as well stays in debt, and is counted; the source's error is the one to tell.
                let _ = self.notify(Load::Quiet);
                return Err(error.into());
            }
        };
        let spent = self.budget.frames == 0 || self.budget.bytes == 0;
        let progress = match received {
            Received::Empty => Some(Progress::Idle),
            Received::Closed => Some(Progress::Closed),
            Received::More if spent || (copied.frames == 0 && !full) => Some(Progress::More),
            Received::More => None,
        };
        let quiet = full || matches!(received, Received::Empty | Received::Closed);
        self.notify(if quiet { Load::Quiet } else { Load::Busy })?;
        Ok(progress)
    }

    /// Asks the guest for a kick; `None` if it has posted more meanwhile. Another look is work, too.
    fn starve(&mut self) -> Result<Option<Progress>, EngineError> {
        if self.space.ring.arm() {
            self.budget.frames = self.budget.frames.saturating_sub(1);
            return Ok(None);
        }
        self.counters.starved();
        Ok(Some(Progress::Starved))
    }

    /// Renews the addresses of what was popped, after the memory's layout changed.
    pub(super) fn retranslate(&mut self) {
        self.space.ring.retranslate();
        self.publish();
    }

    /// Delivers what is filled and gives back what is free.
    ///
    /// An interrupt line that fails now is counted and no more: nobody will call again.
    pub(super) fn finish(&mut self) {
        self.space.ring.stage_filled();
        self.space.ring.give_back();
        let tally = self.space.close();
        self.counters.enter(&tally, &self.space.ring.ledger());
        self.publish();
        let _ = self.notify(Load::Quiet);
    }
}
