//! The waker's bell, as an event of the queue's own (`EVFILT_USER`).

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use crate::sys::Queue;
use crate::sys::kqueue::{EventFilter, EventFlag, FilterFlag, kevent};

/// Rings the event. The same number everywhere; not every version of `kqueue-sys` names it.
const NOTE_TRIGGER: u32 = 0x0100_0000;
/// The event's number, which no descriptor has.
const BELL: RawFd = -1;

/// An event that remembers being rung until it is collected.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Rope>);

/// What wakers pull. They do not keep the queue: it would keep what it watches.
#[derive(Debug)]
struct Rope(Weak<Queue>);

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(queue) = self.0.upgrade() {
            // The event lives as long as the queue: this does not fail.
            let _ = queue.submit(&event(EventFlag::empty(), NOTE_TRIGGER));
        }
    }
}

impl Bell {
    pub(crate) fn new(queue: &Arc<Queue>) -> io::Result<Self> {
        queue.submit(&event(EventFlag::EV_ADD | EventFlag::EV_CLEAR, 0))?;
        Ok(Self(Arc::new(Rope(Arc::downgrade(queue)))))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// The number that its events come with.
    pub(crate) fn number(&self) -> RawFd {
        BELL
    }

    /// Nothing is left to do: collecting the event cleared it.
    pub(crate) fn silence(&self) {}
}

fn event(flags: EventFlag, note: u32) -> kevent {
    kevent::new(BELL as usize, EventFilter::EVFILT_USER, flags, FilterFlag::from_bits_retain(note))
}
