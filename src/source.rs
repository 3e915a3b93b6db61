//! Where frames come from.

mod wake_flag;
mod watch;

pub use wake_flag::WakeFlag;
pub use watch::{Watch, Watched};

use std::any::Any;
use std::io;
use std::task::Waker;
use std::time::Instant;

use crate::space::RxSpace;

/// A source of Ethernet frames.
///
/// A frame leaves its source only when it fits into the guest: the source itself is the back-pressure. Two kinds are
/// at home here. One that **has** its frames offers each with [`RxSpace::put`] and keeps it while there is no room.
/// One that must **read** them borrows the guest's buffers as scatter lists with [`RxSpace::lend`], lets the kernel
/// fill them, and says how much of each was used.
///
/// * **Ordering**: frames reach the guest in the order they were placed.
/// * **Threads**: one thread at a time calls it, not always the one that made it. Its [`Waker`] is called from any.
/// * **Blocking**: [`recv`](Self::recv) never blocks; only [`wait`](Self::wait) does.
/// * **Errors**: an error ends the worker, which reports it and gives the source back. Whatever a source can mend by
///   trying again (an interrupted call, a full buffer) it does not report.
///
/// # Waiting
/// The worker sleeps in two places, for two reasons. While the **guest** has no room, it sleeps on its own bell and the
/// source is not asked for frames, so a readable source and a full ring burn nothing. While the **source** has no
/// frames, it sleeps in [`wait`](Self::wait), and only a stop has to end that early, which is what the waker is for. A
/// source therefore needs to know nothing of kicks. One that has nothing of the system's to sleep on keeps a [`WakeFlag`].
///
/// Several sources are waited for together by what each names in [`watch`](Self::watch): a descriptor that becomes
/// readable (a socket), a waker that it will wake (a queue of its own), a time. One that can do nothing of the kind says
/// so, and then costs whoever merges it a thread that sits in its `wait`, for as long as all of them sleep.
pub trait FrameSource: Send {
    /// Moves frames into `space` until it has no room or the source has no frames; does not block.
    ///
    /// # Errors
    /// When the source is broken for good. Frames already placed in `space` count as taken all the same.
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError>;

    /// Sleeps until there may be frames, the waker was woken since the last call, or `until` has passed.
    ///
    /// It may return early for no reason. Without frames, wake or deadline it sleeps on: no timed polling.
    ///
    /// # Errors
    /// When the source is broken for good.
    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError>;

    /// Names what it can be waited for by together with other sources, instead of by [`wait`](Self::wait).
    ///
    /// Called after [`recv`](Self::recv) found it empty; what was named holds until the next `watch`, `wait` or `recv`. A
    /// frame that came between the two counts like a later one, and so does a wake of the source's own
    /// [`waker`](Self::waker). Whatever of it comes, `wait` is then called with a time that has passed, and `recv` after it:
    /// so the source notes what it would have noted at the end of a wait of its own.
    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        let _ = watch;
        Watched::No
    }

    /// The guest has no room, or a limit around the source none left, and nobody will ask for frames until there is: does what
    /// else there is to do, and does not block.
    ///
    /// Most sources have nothing to do then. One whose affairs go on without frames, such as connections that end, settles
    /// them, and wakes `waker` once there is more to settle: then it is called again, unless there is room by then. That
    /// holds until the next `recv`, `wait` or `watch`; a wake after it does no harm.
    ///
    /// The worker calls it before it sleeps, a decorator that holds frames back before it waits. Whoever drives an engine without one does so after
    /// [`Progress::Starved`](crate::Progress::Starved).
    fn starved(&mut self, waker: &Waker) {
        let _ = waker;
    }

    /// A handle that ends a [`wait`](Self::wait), the current one or, if there is none, the next.
    ///
    /// It must not block and may be woken any number of times, from any thread, even after the source is gone.
    fn waker(&self) -> Waker;
}

/// A source of a type that can be told: each that borrows nothing.
///
/// What takes sources of many types keeps them so, and gives them back to whoever knows the type.
pub trait AnySource: FrameSource + Any {}

impl<S: FrameSource + Any> AnySource for S {}

impl<S: FrameSource + ?Sized> FrameSource for Box<S> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        (**self).recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        (**self).wait(until)
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        (**self).watch(watch)
    }

    fn starved(&mut self, waker: &Waker) {
        (**self).starved(waker);
    }

    fn waker(&self) -> Waker {
        (**self).waker()
    }
}

/// How a [`FrameSource::recv`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// There are, or may be, more frames: it stopped for want of room, or to be fair.
    More,
    /// No frame is left for now. The next one ends [`FrameSource::wait`].
    Empty,
    /// No frame is left and none will come. Asked again, it says so again.
    Closed,
}

/// Why a source is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system refused.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl SourceError {
    /// The system refused while `doing` was being done; for `map_err`.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, cause }
    }
}
