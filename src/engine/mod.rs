//! The receive engine: moves frames from a source into a ring, one turn at a time.
//!
//! A **turn** is one call of [`Engine::poll`]: bounded work, no blocking, no clock but the caller's. Whoever calls it (the
//! [worker](crate::worker), an event loop, a test with made-up time) sleeps as the answer says. Within a turn, five
//! steps repeat until the source is empty, the guest has no room, or the budget is spent:
//!
//! 1. **reserve**: the ring pops a chain, or as many as the frame needs;
//! 2. **copy**: the source's frame goes into them, or the kernel reads it there;
//! 3. **commit**: what was filled is staged as used entries, what was not stays popped for the next frame;
//! 4. **publish**: one store shows the guest the whole batch;
//! 5. **notify**: at most one interrupt, if moderation and the guest agree.
//!
//! The first three happen while the source is in [`recv`](FrameSource::recv), frame by frame, behind
//! [`RxSpace`]: [`put`](RxSpace::put) and [`lend`](RxSpace::lend).
//!
//! # An event loop of one's own
//! One thread may serve many engines, each with its source. What it does after a turn:
//!
//! | answer | sleep until | then, before the next turn |
//! | --- | --- | --- |
//! | [`More`](Progress::More) | not at all: others have their turn | |
//! | [`Idle`](Progress::Idle) | what the source names in [`watch`](FrameSource::watch), or [`held_until`](Engine::held_until) | [`wait`](FrameSource::wait) with a time that has passed, if the source's time or sign came |
//! | [`Starved`](Progress::Starved) | the guest's kick; [`starved`](FrameSource::starved) is called before, and again when its waker is woken | |
//! | [`Closed`](Progress::Closed) | | [`finish`](Engine::finish) |
//! | [`IrqError::Busy`] | a little later | |
//!
//! The wakers given to sources end the loop's sleep, by an eventfd for one. A `Watch` that was asked for what it holds may be
//! dropped before the sleep: what was named holds on.

mod clock;
mod config;
mod counters;
mod moderation;
mod turn;

pub use clock::{Clock, SystemClock};
pub use config::{Budget, EngineConfig, WhenFull};
pub use counters::{Counters, Stats};
pub use moderation::Moderation;

use std::sync::Arc;
use std::time::Instant;

use crate::irq::{IrqError, IrqLine};
use crate::mem::GuestMemory;
use crate::ring::{Cursor, RingError, SplitRing};
use crate::source::{FrameSource, SourceError};
use crate::space::RxSpace;
use moderation::Moderator;
use turn::Turn;

/// A receive engine over a ring, the guest's memory and an interrupt line.
///
/// Sources are passed to each [`poll`](Self::poll), so one engine can serve several, one after the other.
#[derive(Debug)]
pub struct Engine<M, I> {
    ring: SplitRing,
    memory: M,
    irq: I,
    moderator: Moderator,
    config: EngineConfig,
    counters: Arc<Counters>,
}

/// How a turn ended, and so what to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// The budget is spent, or the source has more and placed nothing: poll again, perhaps after others had their turn.
    More,
    /// The source is empty: poll again when it is ready, and at [`Engine::held_until`] if an interrupt is held back. All that
    /// are due were raised.
    Idle,
    /// The guest has no room, and was asked for a kick: poll again after it, and let the source do meanwhile what needs no
    /// room ([`FrameSource::starved`]). All due interrupts were raised.
    Starved,
    /// The source is closed. All due interrupts were raised.
    Closed,
}

/// What ended a turn early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The guest's fault: the ring makes no sense. It stays broken; the VMM sets `DEVICE_NEEDS_RESET`.
    #[error("the receive ring is broken, the device needs a reset: {0}")]
    Ring(#[from] RingError),
    /// The source's fault.
    #[error("the frame source failed: {0}")]
    Source(#[from] SourceError),
    /// The interrupt is still owed: poll again after [`IrqError::Busy`].
    #[error(transparent)]
    Irq(#[from] IrqError),
}

impl<M: GuestMemory, I: IrqLine> Engine<M, I> {
    /// An engine over a ring, under the features that the ring was made under.
    pub fn new(ring: SplitRing, memory: M, irq: I, config: EngineConfig) -> Self {
        Self {
            ring,
            memory,
            irq,
            moderator: Moderator::new(config.moderation),
            config,
            counters: Arc::default(),
        }
    }

    /// Owes the guest one interrupt, whatever it asked for: after a restore, the one it last waited for may be lost.
    pub fn owe_interrupt(&mut self) {
        self.moderator.force();
    }

    /// The counters, which may be read from any thread while the engine runs.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Where the ring stands. Chains in the pool count as popped until [`finish`](Self::finish).
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.ring.cursor()
    }

    /// Until when an interrupt is held back although the source is empty, if one is: poll again then at the latest.
    ///
    /// Never, unless [`Moderation::gather`] allows it.
    #[must_use]
    pub fn held_until(&self) -> Option<Instant> {
        self.moderator.held_until()
    }

    /// Takes one turn: moves frames from `source` to the guest, for as long as the budget allows.
    ///
    /// `clock` tells the time: the system's, one that is made up, or just the instant at which the turn begins. In a turn it
    /// is asked again only while frames keep coming and [`Moderation::max_delay`] may be over.
    ///
    /// # Errors
    /// When the ring, the source or the interrupt line fails. Frames placed before that are delivered all the same.
    pub fn poll<S: FrameSource + ?Sized>(
        &mut self,
        source: &mut S,
        clock: impl Clock,
    ) -> Result<Progress, EngineError> {
        if let Some(error) = self.ring.broken() {
            return Err(error.into());
        }
        let progress = self.turn(&clock).and_then(|mut turn| turn.run(source));
        if let Err(EngineError::Ring(error)) = &progress {
            tracing::debug!(%error, "the guest has broken its receive ring");
        }
        progress
    }

    /// The parts of an engine that has not had a turn: the guest does not notice.
    pub(crate) fn into_parts(self) -> (M, I) {
        (self.memory, self.irq)
    }

    /// Ends all work: what is filled is delivered, what is free is given back, and nothing is written from then on. An
    /// interrupt that is owed is raised; a line that is busy is tried for a tenth of a second.
    ///
    /// Returns where the ring stands, and the parts.
    pub fn finish(mut self) -> Finished<M, I> {
        // In a ring that makes no sense there is nothing to give back.
        let _ = self.wind_down();
        self.take_apart()
    }

    /// Does all that is left to do, before [`take_apart`](Self::take_apart).
    pub(crate) fn wind_down(&mut self) -> Result<(), EngineError> {
        self.turn(&SystemClock).map(|mut turn| turn.finish())
    }

    /// Where the ring stands, and the parts.
    pub(crate) fn take_apart(self) -> Finished<M, I> {
        Finished {
            cursor: self.ring.cursor(),
            stats: self.counters.snapshot(),
            owes_interrupt: self.moderator.is_forced(),
            memory: self.memory,
            irq: self.irq,
        }
    }

    #[inline(always)]
    fn turn<'t>(&'t mut self, clock: &'t dyn Clock) -> Result<Turn<'t, I>, EngineError> {
        let rules = self.ring.rules();
        let ring = self.ring.turn(&mut self.memory)?;
        let Budget { frames, bytes } = self.config.budget;
        Ok(Turn {
            space: RxSpace::new(ring, rules, frames.max(1) as usize, bytes.max(1)),
            irq: &mut self.irq,
            moderator: &mut self.moderator,
            config: &self.config,
            counters: &self.counters,
            clock,
            now: clock.now(),
            shown: 0,
        })
    }
}

/// What is left of an engine.
#[derive(Debug)]
pub struct Finished<M, I> {
    /// Where the ring stands.
    pub cursor: Cursor,
    /// The last state of the counters.
    pub stats: Stats,
    /// The guest was not told of all that it was shown, as the line was busy or failed: whoever goes on from the cursor
    /// [owes](Engine::owe_interrupt) it an interrupt.
    pub owes_interrupt: bool,
    /// The guest's memory.
    pub memory: M,
    /// The interrupt line.
    pub irq: I,
}
