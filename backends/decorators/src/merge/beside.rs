//! Waits that sit on threads of their own while the others sleep, for sources that can be waited for in no other way.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use netrx::{FrameSource, SourceError};

use super::bell::Bell;
use super::sleep::Waited;

/// How long a sleep lasts at most while a source has no thread to wait on.
const BREATHER: Duration = Duration::from_millis(1);

/// Whether the system is short of threads. It is told of when that begins.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    is_told: bool,
}

impl Shortage {
    /// Until when to sleep, after a thread was refused or none was.
    fn until(&mut self, refused: Option<&io::Error>, until: Option<Instant>) -> Option<Instant> {
        let Some(error) = refused else {
            self.is_told = false;
            return until;
        };
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "no thread for a source to wait on: it is asked each millisecond until there is one");
        }
        let soon = Instant::now() + BREATHER;
        Some(until.map_or(soon, |until| until.min(soon)))
    }
}

/// A source's `wait` on a thread.
pub(super) struct Beside<'scope> {
    index: usize,
    waker: Waker,
    /// The wait has ended by itself.
    over: Arc<AtomicBool>,
    thread: ScopedJoinHandle<'scope, Result<(), SourceError>>,
}

/// Says that a wait is over, even if it panicked.
struct Ringing<'b> {
    bell: &'b Bell,
    over: Arc<AtomicBool>,
}

impl Drop for Ringing<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl<'scope> Beside<'scope> {
    /// Sleeps by `sleep`, until the time it is given, while the sources wait on threads. The first wait that ends rings the
    /// bell; then all are ended. A source that the system has no thread for does not wait, and ends the sleep soon.
    pub(super) fn during<S: FrameSource>(
        sources: Vec<(usize, &mut S)>,
        until: Option<Instant>,
        bell: &Bell,
        shortage: &mut Shortage,
        sleep: impl FnOnce(Option<Instant>) -> Result<(), SourceError>,
    ) -> Result<Vec<Waited>, SourceError> {
        thread::scope(|scope| {
            let begin = |(index, source)| Beside::begin(scope, index, source, until, bell);
            let begun: Vec<_> = sources.into_iter().map(begin).collect();
            let refused = begun.iter().find_map(|beside| beside.as_ref().err());
            let slept = sleep(shortage.until(refused, until));
            begun.iter().flatten().for_each(Beside::end);
            let waited = begun.into_iter().flatten().map(Beside::join).collect();
            slept.map(|()| waited)
        })
    }

    fn begin<'env, S: FrameSource>(
        scope: &'scope Scope<'scope, 'env>,
        index: usize,
        source: &'scope mut S,
        until: Option<Instant>,
        bell: &'scope Bell,
    ) -> io::Result<Self> {
        let (waker, over) = (source.waker(), Arc::<AtomicBool>::default());
        let ended = Arc::clone(&over);
        let body = move || {
            // Made here, so that a thread that is refused does not ring.
            let _ringing = Ringing { bell, over: ended };
            source.wait(until)
        };
        let thread = thread::Builder::new().name("netrx-merge".into()).spawn_scoped(scope, body)?;
        Ok(Self { index, waker, over, thread })
    }

    /// Has the wait end, unless it has: a wake that it has no use for would end the next one.
    fn end(&self) {
        if !self.over.load(Ordering::Acquire) {
            self.waker.wake_by_ref();
        }
    }

    fn join(self) -> Waited {
        (self.index, self.thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}
