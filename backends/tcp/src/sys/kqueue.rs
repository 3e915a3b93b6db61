//! Waiting with kqueue: for streams, told of once each time they get bytes, and for a pair of sockets that wakers
//! write to.

#![allow(unsafe_code, reason = "kqueue and kevent")]

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use kqueue_sys::{EventFilter, EventFlag, EventListSize, FilterFlag, kevent, kqueue};

use super::{EVENTS, Event, done, interrupted_is_zero, owned};

/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits for streams or a waker. Streams are edge-triggered (`EV_CLEAR`): the bytes that are in flight stay queued
/// and would otherwise be told of for ever.
#[derive(Debug)]
pub(crate) struct Readiness {
    queue: OwnedFd,
    near: UnixStream,
    rope: Arc<Rope>,
}

/// What wakers pull: the far end of a pair, which remembers being written to until it is read.
#[derive(Debug)]
struct Rope(UnixStream);

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails when the pair is full, and then it was rung already, or when nobody will ever wait again.
        let _ = (&self.0).write(&[0]);
    }
}

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let queue = owned(unsafe { kqueue() })?;
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        let readiness = Self { queue, near, rope: Arc::new(Rope(far)) };
        readiness.change(readiness.near.as_fd(), 0, EventFlag::EV_ADD)?;
        Ok(readiness)
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.rope))
    }

    /// Has news of a stream collected under `name`, the first at once if it has bytes.
    pub(crate) fn watch(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.change(stream, name, EventFlag::EV_ADD | EventFlag::EV_CLEAR)
    }

    /// Leaves a watched stream alone.
    pub(crate) fn hush(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.change(stream, name, EventFlag::EV_DISABLE)
    }

    /// Takes interest in it again: news at once if it has bytes.
    pub(crate) fn listen(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        // To add it once more would not do: of macOS, FreeBSD and OpenBSD none enables what is there by that.
        self.change(stream, name, EventFlag::EV_ENABLE)
    }

    /// Forgets a stream.
    pub(crate) fn forget(&self, stream: BorrowedFd<'_>) -> io::Result<()> {
        self.change(stream, 0, EventFlag::EV_DELETE)
    }

    fn change(&self, fd: BorrowedFd<'_>, name: u32, what: EventFlag) -> io::Result<()> {
        let (ident, filter) = (fd.as_raw_fd() as usize, EventFilter::EVFILT_READ);
        let mut change = kevent::new(ident, filter, what, FilterFlag::empty());
        // A number that is carried along, never an address.
        change.udata = ptr::without_provenance_mut(name as usize);
        // SAFETY: one change, borrowed; without room for events the call does not sleep, and returns errors as such.
        done(unsafe { kevent(self.queue.as_raw_fd(), &raw const change, 1, ptr::null_mut(), 0, ptr::null()) })
    }

    /// Hands over the news there are, up to [`EVENTS`]; does not sleep.
    pub(crate) fn collect(&self, each: impl FnMut(Event)) -> io::Result<()> {
        self.take(Some(Duration::ZERO), each)
    }

    /// Sleeps until there are news, the waker was woken, a signal came, or `until`; hands the news over.
    pub(crate) fn wait(&self, until: Option<Instant>, each: impl FnMut(Event)) -> io::Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP));
        self.take(left, each)
    }

    fn take(&self, left: Option<Duration>, mut each: impl FnMut(Event)) -> io::Result<()> {
        let empty = kevent::new(0, EventFilter::EVFILT_READ, EventFlag::empty(), FilterFlag::empty());
        let mut events = [empty; EVENTS];
        // Neither is cut: a day has few seconds, and a second less than 2^30 nanoseconds.
        let left = left.map(|left| libc::timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: (left.subsec_nanos() as i32).into(),
        });
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        let room = EVENTS as EventListSize;
        // SAFETY: the events are borrowed, and as many as is said; so is the timeout, if there is one.
        let count =
            unsafe { kevent(self.queue.as_raw_fd(), ptr::null(), 0, events.as_mut_ptr(), room, timeout) };
        let count = interrupted_is_zero(count)?;
        for event in events.iter().take(count) {
            if event.ident == self.near.as_raw_fd() as usize {
                self.silence();
            } else {
                // Of urgent bytes nothing is said.
                each(Event { name: event.udata.addr() as u32, reads_short: true });
            }
        }
        Ok(())
    }

    fn silence(&self) {
        let mut rung = [0; 64];
        // A short read means that it is silent; so does an error, as there is nothing to be read.
        while matches!((&self.near).read(&mut rung), Ok(read) if read == rung.len()) {}
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
