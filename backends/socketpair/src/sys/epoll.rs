//! Waiting with epoll: for the socket, and for an eventfd that the waker writes to.

#![allow(unsafe_code, reason = "epoll and eventfd")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use libc::c_int;

use super::Ready;

/// How events are told from each other.
const SOCKET: u64 = 0;
const BELL: u64 = 1;
/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits for a socket or a waker. Both are level-triggered.
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

impl Bell {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        owned(fd).map(|fd| Self(File::from(fd)))
    }

    fn silence(&self) {
        // Nothing to be read means that it is silent.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl Readiness {
    pub(crate) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let readiness = Self { epoll, bell: Arc::new(Bell::new()?) };
        readiness.add(socket.as_raw_fd(), SOCKET, libc::EPOLLIN | libc::EPOLLRDHUP)?;
        readiness.add(readiness.bell.0.as_raw_fd(), BELL, libc::EPOLLIN)?;
        Ok(readiness)
    }

    fn add(&self, fd: c_int, name: u64, interest: c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: name };
        // SAFETY: the event is borrowed.
        let added =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if added == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Readable while a wait would end at once.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Sleeps until the socket is readable or hung up, the waker was woken, a signal came, or `until`.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Ready> {
        let timeout = match until {
            None => -1,
            Some(until) => {
                self.sleep(until)?;
                0
            }
        };
        let mut ready = Ready::default();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        let count = self.collect(&mut events, timeout)?;
        for event in events.into_iter().take(count) {
            match event.u64 {
                BELL => self.bell.silence(),
                _ => ready.hung_up = event.events & (libc::EPOLLHUP | libc::EPOLLRDHUP) as u32 != 0,
            }
        }
        Ok(ready)
    }

    fn collect(&self, events: &mut [libc::epoll_event], timeout: c_int) -> io::Result<usize> {
        // SAFETY: the events are borrowed, and as many as is said.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as c_int, timeout)
        };
        interrupted_is_zero(count)
    }

    /// Sleeps as `wait` does, but to the nanosecond, and takes nothing.
    fn sleep(&self, until: Instant) -> io::Result<()> {
        let mut asked = libc::pollfd { fd: self.epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let left = time_left(until);
        // SAFETY: both structures are borrowed, and there is no signal mask.
        let count = unsafe { libc::ppoll(&raw mut asked, 1, &raw const left, ptr::null()) };
        interrupted_is_zero(count).map(drop)
    }
}

/// The time from now to `until`, as the system wants it.
fn time_left(until: Instant) -> libc::timespec {
    let left = until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP);
    // Neither is cut: a day has few seconds, and a second less than 2^30 nanoseconds.
    libc::timespec { tv_sec: left.as_secs() as _, tv_nsec: (left.subsec_nanos() as i32).into() }
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
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
