//! A copy of what passes, into a pcapng file.
//!
//! ```text
//! inner --recv--> guest
//!         |
//!         +--taped--> queue --writer's thread--> pcapng       CaptureHandle: start, stop, from any thread
//! ```

mod file;
mod handle;

pub use handle::{CaptureError, CaptureHandle, Captured};

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use netrx::source::{Watch, Watched};
use netrx::space::Tape;
use netrx::{FrameSource, Received, RxSpace, SourceError};

use handle::Shared;

/// How far the writer may fall behind, in bytes.
const QUEUE: usize = 16 << 20;

/// A [`FrameSource`] whose frames can be captured while it runs.
///
/// * **Order**, **blocking**, **errors**: the inner source's. Trouble of the writer is told by the [`CaptureHandle`], and
///   never by this.
///
/// # What is in the file
/// Every frame that left the source within between start and stop, in order: those the guest got, and those that were
/// dropped. They are as they left it: offloads that their metadata asks for are not done yet. A dropped frame has a comment
/// with its reason, which Wireshark shows in the list and filters by (`frame.comment`); of one that was too long for the
/// guest's buffers there are as many bytes as were read, perhaps none. The times are the wall clock's, in nanoseconds, at
/// the end of the `recv` that took the frame.
///
/// The statistics at the end of the file (Wireshark: *Capture File Properties*) count frames received, dropped before the
/// guest, and missed by the capture.
///
/// # What it costs
/// While it is stopped, one relaxed load a `recv`. While it runs, two copies of each frame, and the way through the pool.
/// The writer is never waited for: when it falls behind by 16 MiB, frames pass without being captured, and the next one
/// that is captured says how many (`frame.drop_count`).
///
/// # Example
/// ```no_run
/// use netrx_decorators::Capture;
/// # let (source, _script) = netrx_mock::ScriptedSource::new();
///
/// let (source, capture) = Capture::new(source); // the source is to be offered to an `RxWorkerSlot`
/// capture.start(std::fs::File::create("guest.pcapng")?)?;
/// // ... and any time later, from any thread:
/// let captured = capture.stop()?;
/// # drop((source, captured));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Capture<S> {
    inner: S,
    tape: Tape,
    shared: Arc<Shared>,
}

impl<S> Capture<S> {
    /// The source, and what starts and stops its captures. None runs at first.
    #[must_use]
    pub fn new(inner: S) -> (Self, CaptureHandle) {
        let shared = Arc::new(Shared::default());
        (Self { inner, tape: Tape::new(), shared: Arc::clone(&shared) }, CaptureHandle::new(shared))
    }

    /// The source within.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: FrameSource> FrameSource for Capture<S> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let Self { inner, tape, shared } = self;
        if !shared.is_active() {
            return inner.recv(space);
        }
        tape.clear();
        let received = space.taped(tape, |space| inner.recv(space));
        if !tape.is_empty() {
            shared.offer(tape);
        }
        received
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.inner.wait(until)
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        self.inner.watch(watch)
    }

    fn starved(&mut self, waker: &Waker) {
        self.inner.starved(waker);
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}
