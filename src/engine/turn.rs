//! One turn: the five steps, in order.

use std::time::Instant;

use super::moderation::{Load, Moderator};
use super::{Budget, Counters, EngineConfig, EngineError, Progress, WhenFull};
use crate::irq::IrqLine;
use crate::mem::{GuestMemory, Translator};
use crate::ring::{Reserved, Ring, RingError, Want};
use crate::source::{FrameSource, Received, SourceError};
use crate::space::{Limits, Pool, Popped, Refusal, RxSpace, Tally};
use crate::spec::{HeaderRules, MIN_FRAME};

/// Chains popped ahead of the frames: enough that a batch hides the ring's latency, few enough to stay in cache.
const BATCH: usize = 64;

/// The parts of an engine for the length of a turn.
pub(super) struct Turn<'t, R: Ring, M, I> {
    pub(super) ring: &'t mut R,
    pub(super) areas: R::Areas<'t>,
    pub(super) memory: Translator<'t, M>,
    /// The memory, if it keeps a dirty log.
    pub(super) logged: Option<&'t M>,
    pub(super) irq: &'t mut I,
    pub(super) pool: &'t mut Pool,
    pub(super) rules: &'t HeaderRules,
    /// What the source placed since the last commit.
    pub(super) tally: &'t mut Tally,
    pub(super) moderator: &'t mut Moderator,
    pub(super) config: &'t EngineConfig,
    pub(super) counters: &'t Counters,
    pub(super) now: Instant,
    /// What is left of the budget.
    pub(super) budget: Budget,
    /// What the source had no room for.
    pub(super) refusal: Refusal,
}

/// What a source did with the room it was given.
struct Copied {
    outcome: Result<Received, SourceError>,
    refusal: Refusal,
    frames: u64,
}

impl<R: Ring, M: GuestMemory, I: IrqLine> Turn<'_, R, M, I> {
    /// Repeats the steps until something ends the turn.
    pub(super) fn run<S: FrameSource + ?Sized>(&mut self, source: &mut S) -> Result<Progress, EngineError> {
        loop {
            let dry = self.reserve()?;
            let full = dry && self.is_full();
            if full && self.config.when_full == WhenFull::Wait {
                match self.starve()? {
                    Some(progress) => return Ok(progress),
                    None => continue,
                }
            }
            let copied = self.copy(source, dry, full);
            self.commit();
            self.publish();
            if let Some(progress) = self.judge(copied, full)? {
                return Ok(progress);
            }
        }
    }

    /// Whether the pool cannot take the next frame, as far as its size is known.
    fn is_full(&self) -> bool {
        match self.refusal {
            Refusal::Needs(bytes) => self.pool.free_bytes() < bytes,
            Refusal::Wishes(_) | Refusal::None => self.pool.free() == 0,
        }
    }

    /// Asks the guest for a kick; `None` if it has posted more meanwhile.
    fn starve(&mut self) -> Result<Option<Progress>, EngineError> {
        if !self.ring.arm(&self.areas) {
            self.counters.starved();
            self.notify(Load::Quiet)?;
            return Ok(Some(Progress::Starved));
        }
        if self.budget.frames > 0 {
            return Ok(None);
        }
        self.notify(Load::Busy)?;
        Ok(Some(Progress::More))
    }

    /// Pops chains if the pool has no room; returns whether the ring has none left.
    fn reserve(&mut self) -> Result<bool, RingError> {
        let bytes = match self.refusal {
            Refusal::None => 0,
            Refusal::Wishes(bytes) | Refusal::Needs(bytes) => bytes,
        };
        if self.pool.free() > 0 && (bytes == 0 || self.pool.free_bytes() >= bytes) {
            return Ok(false);
        }
        let header = self.rules.len();
        let min_chain = if self.rules.mergeable() { header } else { header + MIN_FRAME };
        let want = Want { chains: BATCH, bytes, at_most: usize::from(self.ring.size()), min_chain };
        let Reserved { chains, bad, dry } =
            self.ring.reserve(&self.areas, &mut self.memory, self.pool, want)?;
        self.counters.add_popped(chains, bad);
        if bad > 0 {
            self.budget.frames = self.budget.frames.saturating_sub(bad as u32);
            self.publish();
        }
        Ok(dry)
    }

    /// Lets the source place frames, or drop one that has no room.
    fn copy<S: FrameSource + ?Sized>(&mut self, source: &mut S, ring_dry: bool, discard: bool) -> Copied {
        let frames = match discard && self.pool.free() > 0 {
            true => 1,
            false => self.budget.frames.max(1) as usize,
        };
        let limits = Limits {
            frames,
            bytes: self.budget.bytes,
            ring_size: usize::from(self.ring.size()),
            ring_dry,
            discard,
        };
        let mut space = RxSpace::new(self.pool, self.rules, self.tally, limits);
        let outcome = source.recv(&mut space);
        let refusal = space.refusal();
        let frames = self.tally.taken();
        self.budget.frames = self.budget.frames.saturating_sub(frames as u32);
        self.budget.bytes = self.budget.bytes.saturating_sub(self.tally.bytes);
        Copied { outcome, refusal, frames }
    }

    /// Stages what was filled, and enters it in the ledger.
    fn commit(&mut self) {
        self.counters.add_tally(&std::mem::take(self.tally));
        if let Some(memory) = self.logged {
            self.pool.for_each_written(|at, len| memory.mark_written(at, len));
        }
        let filled = self.pool.filled();
        for chain in filled {
            self.ring.stage(&self.areas, chain.popped, chain.written);
        }
        self.counters.add_used(filled.len());
        self.pool.forget_filled();
    }

    fn publish(&mut self) {
        let entries = self.ring.publish(&self.areas);
        self.moderator.published(entries, self.now);
    }

    /// Interrupts the guest if that is due and wanted.
    fn notify(&mut self, load: Load) -> Result<(), EngineError> {
        if !self.moderator.is_due(load, self.now) {
            return Ok(());
        }
        let wanted = self.ring.wants_interrupt(&self.areas);
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

    /// What the source's answer means for the turn; `None` goes round again.
    fn judge(&mut self, copied: Copied, full: bool) -> Result<Option<Progress>, EngineError> {
        let Copied { outcome, refusal, frames } = copied;
        let received = match outcome {
            Ok(received) => received,
            Err(error) => {
                // A line that fails as well stays in debt, and is counted; the source's error is the one to tell.
                let _ = self.notify(Load::Quiet);
                return Err(error.into());
            }
        };
        self.refusal = refusal;
        let progress = match received {
            Received::Empty => Progress::Idle,
            Received::Closed => Progress::Closed,
            Received::More if self.budget.frames == 0 || self.budget.bytes == 0 => Progress::More,
            Received::More if frames == 0 && refusal == Refusal::None => Progress::More,
            Received::More => return self.notify(if full { Load::Quiet } else { Load::Busy }).map(|()| None),
        };
        let load = if progress == Progress::More && !full { Load::Busy } else { Load::Quiet };
        self.notify(load)?;
        Ok(Some(progress))
    }

    /// Renews the pool's addresses; what is not backed any more is completed empty.
    pub(super) fn retranslate(&mut self) {
        let dead = self.pool.retranslate(&mut self.memory);
        self.empty(&dead);
        self.publish();
    }

    fn empty(&mut self, chains: &[Popped]) {
        for chain in chains {
            self.ring.stage(&self.areas, *chain, 0);
        }
        self.counters.add_emptied(chains.len());
    }

    /// Delivers what is filled and gives back what is free.
    ///
    /// An interrupt line that fails now is counted and no more: nobody will call again.
    pub(super) fn finish(&mut self) {
        self.commit();
        let free = self.pool.take_free();
        let all = free.len();
        let emptied = self.ring.give_back(&self.areas, free);
        self.counters.add_emptied(emptied);
        self.counters.add_given_back(all - emptied);
        self.publish();
        let _ = self.notify(Load::Quiet);
    }
}
