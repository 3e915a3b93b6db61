//! Starting and stopping, and the queue to the writer's thread.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use netrx::space::Tape;

use super::QUEUE;
use super::file;

/// What a frame on a tape takes beside its bytes, about.
const ENTRY: usize = 32;

/// How many tapes are kept to be used again. The others are let go: each may once have held all that a turn can take.
const BLANKS: usize = 4;

/// Starts and stops the captures of a [`Capture`](super::Capture), from any thread. Clones are the same handle.
///
/// A capture that nobody stopped ends when the last of source and handles is dropped, which waits for the writer as
/// [`stop`](Self::stop) does, unless it is the writer that drops it. Nobody is told then what is wrong with the file, but it is
/// logged.
#[derive(Clone, Debug)]
pub struct CaptureHandle {
    shared: Arc<Shared>,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// Frames in the file that the guest got.
    pub delivered: u64,
    /// Frames in the file that were dropped.
    pub dropped: u64,
    /// Frames that passed while the writer was too far behind, and are not in the file.
    pub missed: u64,
}

/// Why there is no capture, or one ended too early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is one, running or broken.
    #[error("a capture was started before: stop it first")]
    Started,
    /// The system has no thread to spare.
    #[error("the writer's thread could not be started: {0}")]
    Spawn(#[source] io::Error),
    /// The file could not be written. It ends with the last frame that was.
    #[error("the capture ended early, its file cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The writer itself asks for its end, which it would wait for.
    #[error("a writer cannot stop its own capture: have another thread stop it")]
    OwnThread,
    /// The writer panicked.
    #[error("the capture ended early, its writer panicked")]
    Panicked,
}

/// What the source and its handles share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// A hint, so that a source that is not captured takes no lock. What it stands for is ordered by the lock.
    active: AtomicBool,
    session: Mutex<Option<Session>>,
}

/// Frames on their way to the writer.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) tape: Tape,
    pub(super) at: SystemTime,
    /// Frames that passed uncaptured before these.
    pub(super) missed: u64,
}

/// The writer's end of the queue.
#[derive(Debug)]
pub(super) struct Queue {
    batches: Receiver<Batch>,
    /// Tapes to be used again.
    blanks: SyncSender<Tape>,
    queued: Arc<AtomicUsize>,
}

/// A capture that was started.
#[derive(Debug)]
struct Session {
    batches: Sender<Batch>,
    blanks: Receiver<Tape>,
    queued: Arc<AtomicUsize>,
    /// Frames that passed uncaptured since the last batch.
    missed: u64,
    /// The writer itself tells what it came to: nobody waits for it.
    is_abandoned: Arc<AtomicBool>,
    thread: JoinHandle<Result<Captured, CaptureError>>,
}

impl CaptureHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Starts a capture into `writer`, which is written and flushed on a thread of its own, and dropped at the end.
    ///
    /// What a `recv` takes that begins after this returned is in it.
    ///
    /// # Errors
    /// When one was started and not stopped, or there is no thread. What is wrong with the writer,
    /// [`stop`](Self::stop) tells.
    pub fn start(&self, writer: impl Write + Send + 'static) -> Result<(), CaptureError> {
        let mut session = self.shared.lock();
        if session.is_some() {
            return Err(CaptureError::Started);
        }
        *session = Some(Session::start(writer)?);
        self.shared.active.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the capture, waits until its file is written, and says what is in it; `None` if there was none.
    ///
    /// What a `recv` took that ended before this is called is in it. This waits for the writer, however long that takes; the
    /// source does not.
    ///
    /// # Errors
    /// When the capture had ended before, because of its writer. That is told once: after it there is none. When the
    /// writer's own thread asks; nothing changes then.
    pub fn stop(&self) -> Result<Option<Captured>, CaptureError> {
        let session = {
            let mut session = self.shared.lock();
            if session.as_ref().is_some_and(Session::is_own) {
                return Err(CaptureError::OwnThread);
            }
            self.shared.active.store(false, Ordering::Relaxed);
            session.take()
        };
        session.map(Session::end).transpose()
    }

    /// Whether frames are being captured; no longer once the writer has failed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.lock().as_ref().is_some_and(|session| !session.thread.is_finished())
    }
}

impl Shared {
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Hands a tape to the writer, if there is one and it keeps up.
    pub(super) fn offer(&self, tape: &mut Tape) {
        // Whoever else holds the lock does so to put a session in or out; its end is waited for without it.
        let mut session = self.lock();
        let alive = session.as_mut().is_some_and(|session| session.offer(tape));
        if !alive {
            self.active.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// Ends a capture that nobody stopped, and waits for its writer as if somebody had.
    fn drop(&mut self) {
        if let Some(session) = self.lock().take() {
            session.abandon();
        }
    }
}

impl Session {
    fn start(writer: impl Write + Send + 'static) -> Result<Self, CaptureError> {
        let (batches, batches_out) = mpsc::channel();
        let (blanks_in, blanks) = mpsc::sync_channel(BLANKS);
        let queued = Arc::<AtomicUsize>::default();
        let queue = Queue { batches: batches_out, blanks: blanks_in, queued: Arc::clone(&queued) };
        let (started, is_abandoned) = (SystemTime::now(), Arc::<AtomicBool>::default());
        let tells = Arc::clone(&is_abandoned);
        let body = move || {
            let written = file::write(writer, &queue, started).map_err(CaptureError::Write);
            if tells.load(Ordering::Relaxed) {
                tell(&written);
            }
            written
        };
        let thread = thread::Builder::new().name("netrx-capture".into()).spawn(body);
        let thread = thread.map_err(CaptureError::Spawn)?;
        Ok(Self { batches, blanks, queued, missed: 0, is_abandoned, thread })
    }

    /// Takes the tape's frames and leaves it a blank one; `false` when nobody writes any more.
    fn offer(&mut self, tape: &mut Tape) -> bool {
        let (size, queued) = (size(tape), self.queued.load(Ordering::Acquire));
        // A writer that has nothing to do is not behind, however much this is.
        if queued > 0 && queued + size > QUEUE {
            self.missed += tape.len() as u64;
            return !self.thread.is_finished();
        }
        let blank = self.blanks.try_recv().unwrap_or_default();
        self.queued.fetch_add(size, Ordering::AcqRel);
        let tape = std::mem::replace(tape, blank);
        self.send(tape)
    }

    fn send(&mut self, tape: Tape) -> bool {
        let missed = std::mem::take(&mut self.missed);
        self.batches.send(Batch { tape, at: SystemTime::now(), missed }).is_ok()
    }

    /// Whether this is the writer's thread.
    fn is_own(&self) -> bool {
        self.thread.thread().id() == thread::current().id()
    }

    fn end(mut self) -> Result<Captured, CaptureError> {
        let own = self.is_own();
        // Without frames, it only tells what was missed at the end.
        self.send(Tape::new());
        drop(self.batches);
        if own {
            // The writer let go of the last handle: the file is whole once it returns.
            return Err(CaptureError::OwnThread);
        }
        self.thread.join().unwrap_or(Err(CaptureError::Panicked))
    }

    /// Ends, with nobody left to be told.
    fn abandon(self) {
        if self.is_own() {
            self.is_abandoned.store(true, Ordering::Relaxed);
            // It cannot be waited for here.
            let _ = self.end();
        } else {
            tell(&self.end());
        }
    }
}

/// Tells what is wrong with a file that nobody asked after.
fn tell(written: &Result<Captured, CaptureError>) {
    if let Err(error) = written {
        tracing::error!(%error, "a capture that nobody stopped is not whole");
    }
}

impl Queue {
    /// The next batch; `idle` is called before it has to be waited for. `None` when there will be no more.
    pub(super) fn next(&self, idle: impl FnOnce() -> io::Result<()>) -> io::Result<Option<Batch>> {
        if let Ok(batch) = self.batches.try_recv() {
            return Ok(Some(batch));
        }
        idle()?;
        Ok(self.batches.recv().ok())
    }

    /// Takes a tape back that was written.
    pub(super) fn done(&self, mut tape: Tape) {
        self.queued.fetch_sub(size(&tape), Ordering::AcqRel);
        tape.clear();
        // One that finds no place is not needed.
        let _ = self.blanks.try_send(tape);
    }
}

/// What a tape takes of the queue.
fn size(tape: &Tape) -> usize {
    tape.bytes() + tape.len() * ENTRY
}
