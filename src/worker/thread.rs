//! The worker's body.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use super::bell::{Awake, Bell};
use crate::engine::{Engine, EngineError, Finished, Progress, Stats, SystemClock};
use crate::irq::{IrqError, IrqLine, PAUSE};
use crate::mem::GuestMemory;
use crate::ring::Cursor;
use crate::source::AnySource;
use crate::sync::{Mutex, MutexGuard, pause};

/// What the consumer wants called on the worker's thread, with the reason why it ended.
#[derive(Clone, Default)]
pub(super) struct EndHook(Arc<Mutex<Option<Call>>>);

type Call = Box<dyn FnMut(&End) + Send>;

impl EndHook {
    pub(super) fn set(&self, call: Call) {
        let _old = self.lock().replace(call);
    }

    /// Calls it, if there is one, which may set another meanwhile.
    fn call(&self, end: &End) {
        let Some(mut call) = self.lock().take() else { return };
        if let Err(panic) = guarded(|| call(end)) {
            tracing::error!(panic, "the hook for the worker's end panicked");
        }
        // One that is not needed any more is dropped without the lock: it is somebody else's code.
        let mut newer = self.lock();
        if newer.is_none() {
            *newer = Some(call);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that moves into the worker's thread.
pub(super) struct Job<M, I> {
    pub(super) engine: Engine<M, I>,
    pub(super) source: Box<dyn AnySource>,
    pub(super) rank: u32,
    pub(super) bell: Arc<Bell>,
    pub(super) on_end: EndHook,
}

/// Everything that comes back from it.
pub(super) struct Outcome<M, I> {
    pub(super) memory: M,
    pub(super) irq: I,
    pub(super) source: Box<dyn AnySource>,
    pub(super) rank: u32,
    pub(super) report: Report,
}

/// What a worker did.
#[derive(Debug)]
pub struct Report {
    /// Why it ended.
    pub end: End,
    /// Where the ring stands: the start of a later [`RingConfig`](crate::ring::RingConfig).
    pub cursor: Cursor,
    /// The last state of its counters.
    pub stats: Stats,
    /// The guest was not told of all that it was shown, as the line was busy or failed: the worker that goes on from the cursor
    /// owes it an interrupt, as one [does after a restore](super::RxConfig::restored).
    pub owes_interrupt: bool,
}

/// Why a worker ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// It was told to.
    Stopped,
    /// Its source closed.
    Closed,
    /// The ring, the source or the interrupt line failed. After a ring's failure the VMM sets `DEVICE_NEEDS_RESET`.
    Failed(EngineError),
    /// The source or the interrupt line panicked, with this message.
    Panicked(String),
}

impl<M: GuestMemory, I: IrqLine> Job<M, I> {
    /// Runs until there is a reason to end, and lets nothing write to the guest after that.
    pub(super) fn run(mut self) -> Outcome<M, I> {
        let worked = guarded(|| self.work());
        let wound_down = guarded(|| self.engine.wind_down());
        let end = match (worked, wound_down) {
            (Err(panic), _) | (Ok(End::Stopped | End::Closed), Err(panic)) => End::Panicked(panic),
            (Ok(End::Stopped | End::Closed), Ok(Err(error))) => End::Failed(error),
            (Ok(end), _) => end,
        };
        tracing::debug!(?end, "receive worker ends");
        self.end(end)
    }

    /// Tells why it ends, and takes the parts apart.
    fn end(self, end: End) -> Outcome<M, I> {
        let Finished { cursor, stats, owes_interrupt, memory, irq } = self.engine.take_apart();
        stats.trace();
        if !matches!(end, End::Stopped) {
            self.on_end.call(&end);
        }
        let report = Report { end, cursor, stats, owes_interrupt };
        Outcome { memory, irq, source: self.source, rank: self.rank, report }
    }

    fn work(&mut self) -> End {
        self.bell.attach();
        let bell = Waker::from(Arc::clone(&self.bell));
        while !self.bell.is_stopped() {
            let waited = match self.engine.poll(&mut *self.source, SystemClock) {
                Ok(Progress::More) => Ok(()),
                Ok(Progress::Idle) => self.source.wait(self.engine.held_until()),
                Ok(Progress::Starved) => {
                    self.starve(&bell);
                    Ok(())
                }
                Ok(Progress::Closed) => return End::Closed,
                // Nothing else waits for a time.
                Err(EngineError::Irq(IrqError::Busy)) => {
                    pause(PAUSE);
                    Ok(())
                }
                Err(error) => return End::Failed(error),
            };
            if let Err(error) = waited {
                return End::Failed(error.into());
            }
        }
        End::Stopped
    }

    /// Sleeps until the guest may have room, or the worker is to end; the source goes about its affairs meanwhile.
    fn starve(&mut self, bell: &Waker) {
        self.source.starved(bell);
        while self.bell.sleep() == Awake::ForSource {
            self.source.starved(bell);
        }
    }
}

/// Calls what is not ours and may panic; what it said then.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| message(&*panic))
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
