//! Waiting with epoll: for streams, told of once each time they get bytes, and for an eventfd that wakers write to.

#![allow(unsafe_code, reason = "epoll and eventfd")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use libc::c_int;

use super::{Event, done};

/// Events collected by one call, at most.
const EVENTS: usize = 64;
/// The bell's name; streams have shorter ones.
const BELL: u64 = u64::MAX;
/// What a stream is watched for.
const NEWS: c_int = libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP | libc::EPOLLET;
/// After these a read that comes short does not mean that nothing is left: reads stop at an urgent byte.
const SHORT: c_int = libc::EPOLLHUP | libc::EPOLLRDHUP | libc::EPOLLERR | libc::EPOLLPRI;
/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits for streams or a waker. Streams are edge-triggered: the bytes that are in flight stay queued and would
/// otherwise be told of for ever.
#[derive(Debug)]
pub(crate) struct Readiness {
    epoll: OwnedFd,
    bell: Arc<Bell>,
}

/// A counter that remembers being woken until it is read.
#[derive(Debug)]
struct Bell(File);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only when the counter is full, and then it was rung already.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let bell = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: takes no pointer.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let readiness = Self { epoll, bell: Arc::new(Bell(File::from(bell))) };
        readiness.control(libc::EPOLL_CTL_ADD, readiness.bell.0.as_fd(), BELL, libc::EPOLLIN)?;
        Ok(readiness)
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Has news of a stream collected under `name`, the first at once if it has bytes.
    pub(crate) fn watch(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, stream, name.into(), NEWS)
    }

    /// Leaves a watched stream alone, as far as the system can.
    pub(crate) fn hush(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, stream, name.into(), libc::EPOLLET)
    }

    /// Takes interest in it again: news at once if it has bytes.
    pub(crate) fn listen(&self, stream: BorrowedFd<'_>, name: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, stream, name.into(), NEWS)
    }

    /// Forgets a stream, which others may hold for longer than we do.
    pub(crate) fn forget(&self, stream: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, stream, 0, 0)
    }

    fn control(&self, what: c_int, fd: BorrowedFd<'_>, name: u64, interest: c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: name };
        // SAFETY: the event is borrowed.
        done(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, fd.as_raw_fd(), &raw mut event) })
    }

    /// Hands over the news there are, up to [`EVENTS`]; does not sleep.
    pub(crate) fn collect(&self, each: impl FnMut(Event)) -> io::Result<()> {
        self.take(0, each)
    }

    /// Sleeps until there are news, the waker was woken, a signal came, or `until`; hands the news over.
    pub(crate) fn wait(&self, until: Option<Instant>, each: impl FnMut(Event)) -> io::Result<()> {
        let timeout = match until {
            None => -1,
            Some(until) => {
                self.sleep(until)?;
                0
            }
        };
        self.take(timeout, each)
    }

    fn take(&self, timeout: c_int, mut each: impl FnMut(Event)) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the events are borrowed, and as many as is said.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as c_int, timeout)
        };
        let count = interrupted_is_zero(count)?;
        for event in events.into_iter().take(count) {
            match (event.u64, event.events) {
                // Nothing to be read means that it is silent.
                (BELL, _) => drop((&self.bell.0).read(&mut [0; 8])),
                (name, what) => {
                    each(Event { name: name as u32, reads_short: what & SHORT as u32 != 0 });
                }
            }
        }
        Ok(())
    }

    /// Sleeps as `wait` does, but to the nanosecond, and takes nothing.
    fn sleep(&self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP);
        let left = libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
        let mut asked = libc::pollfd { fd: self.epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: both structures are borrowed, and there is no signal mask.
        let count = unsafe { libc::ppoll(&raw mut asked, 1, &raw const left, ptr::null()) };
        interrupted_is_zero(count).map(drop)
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A count of events; a signal is a reason to return like the others.
fn interrupted_is_zero(count: c_int) -> io::Result<usize> {
    usize::try_from(count).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}

/// Takes charge of a descriptor that a call has just returned.
fn owned(fd: c_int) -> io::Result<OwnedFd> {
    done(fd)?;
    // SAFETY: the system has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
