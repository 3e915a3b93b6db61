//! Waiting by epoll.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Change, EVENTS};
use crate::{Event, Trigger};

/// What descriptors are watched for.
const NEWS: EventFlags = EventFlags::IN.union(EventFlags::PRI).union(EventFlags::RDHUP);
/// Nothing will come any more, beside what is queued.
const ENDED: EventFlags = EventFlags::HUP.union(EventFlags::RDHUP);
/// Reads may come short though more is queued.
const SHORT: EventFlags = ENDED.union(EventFlags::ERR).union(EventFlags::PRI);

/// What the system calls an epoll instance.
#[derive(Debug)]
pub(crate) struct Queue {
    epoll: OwnedFd,
    /// What descriptors are told of for, and how.
    news: EventFlags,
}

impl Queue {
    pub(crate) fn new(trigger: Trigger) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let news = match trigger {
            Trigger::Level => NEWS,
            Trigger::Edge => NEWS | EventFlags::ET,
        };
        Ok(Self { epoll, news })
    }

    pub(crate) fn change(&self, fd: BorrowedFd<'_>, name: u32, change: Change) -> io::Result<()> {
        let data = EventData::new_u64((fd.as_raw_fd() as u64) << 32 | u64::from(name));
        match change {
            Change::Watch => epoll::add(&self.epoll, fd, data, self.news)?,
            // What is told of without being asked for is told of once.
            Change::Hush => epoll::modify(&self.epoll, fd, data, EventFlags::ET)?,
            Change::Listen => epoll::modify(&self.epoll, fd, data, self.news)?,
            Change::Forget => epoll::delete(&self.epoll, fd)?,
        }
        Ok(())
    }

    /// Sleeps until there are events or a signal, but no longer than `at_most`; hands over what there is, each event with
    /// its descriptor's number.
    pub(crate) fn collect(
        &self,
        at_most: Option<Duration>,
        mut each: impl FnMut(RawFd, Event),
    ) -> io::Result<()> {
        if let Some(time) = at_most.filter(|time| !time.is_zero()) {
            self.sleep(time)?;
        }
        let no_time = at_most.map(|_| Timespec::default());
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let events = match epoll::wait(&self.epoll, &mut events, no_time.as_ref()) {
            Err(Errno::INTR) => return Ok(()),
            events => events?.0,
        };
        for event in events {
            let (flags, data) = (event.flags, event.data.u64());
            let (ended, reads_short) = (flags.intersects(ENDED), flags.intersects(SHORT));
            each((data >> 32) as RawFd, Event { name: data as u32, ended, reads_short });
        }
        Ok(())
    }

    /// Sleeps for a time to the nanosecond, which epoll itself takes only since Linux 5.11; takes no event.
    fn sleep(&self, at_most: Duration) -> io::Result<()> {
        let time = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&time)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
