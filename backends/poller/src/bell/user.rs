//! The waker's bell, as an event of the queue's own (`EVFILT_USER`).

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sys::{EventFilter, EventFlag, FilterFlag, Kqueue, kevent};

/// Rings the event. The same number everywhere; not every version of `kqueue-sys` names it.
const NOTE_TRIGGER: u32 = 0x0100_0000;
/// The event's name.
const BELL: usize = 0;

/// A queue with an event that remembers being rung until it is collected.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Rope>);

/// What wakers pull.
#[derive(Debug)]
struct Rope(Kqueue);

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The queue lives as long as its wakers, and the event as long as the queue: this does not fail.
        let _ = self.0.change(&event(EventFlag::empty(), NOTE_TRIGGER));
    }
}

impl Bell {
    pub(crate) fn new(queue: Kqueue) -> io::Result<Self> {
        queue.change(&event(EventFlag::EV_ADD | EventFlag::EV_CLEAR, 0))?;
        Ok(Self(Arc::new(Rope(queue))))
    }

    pub(crate) fn queue(&self) -> &Kqueue {
        &self.0.0
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    pub(crate) fn is_rung_by(&self, event: &kevent) -> bool {
        event.filter == EventFilter::EVFILT_USER
    }

    /// Nothing is left to do: collecting the event cleared it.
    pub(crate) fn silence(&self) {}
}

fn event(flags: EventFlag, note: u32) -> kevent {
    kevent::new(BELL, EventFilter::EVFILT_USER, flags, FilterFlag::from_bits_retain(note))
}
