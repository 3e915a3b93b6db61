//! Waits that sit on threads of their own while the others sleep, for sources that can be waited for in no other way.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;

use netrx::{FrameSource, SourceError};

use super::bell::Bell;
use super::sleep::Waited;

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
    /// Sleeps by `sleep` while the sources wait on threads. The first wait that ends rings the bell; then all are ended.
    pub(super) fn during<S: FrameSource>(
        sources: Vec<(usize, &mut S)>,
        until: Option<Instant>,
        bell: &Bell,
        sleep: impl FnOnce() -> Result<(), SourceError>,
    ) -> Result<Vec<Waited>, SourceError> {
        thread::scope(|scope| {
            let begin = |(index, source)| Beside::begin(scope, index, source, until, bell);
            let begun: Vec<_> = sources.into_iter().map(begin).collect();
            let slept = if begun.iter().all(Result::is_ok) { sleep() } else { Ok(()) };
            begun.iter().flatten().for_each(Beside::end);
            let waited = begun.into_iter().map(|beside| beside.map(Beside::join)).collect::<Result<_, _>>();
            slept?;
            waited.map_err(SourceError::io("start a thread to wait for a source"))
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
        let ringing = Ringing { bell, over: Arc::clone(&over) };
        let body = move || {
            let _ringing = ringing;
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
