//! Where handles leave word and the source finds it.
//!
//! Each connection has a box of fixed size, in which word merges ([`View`]); the hub has a list of the boxes to look
//! into, each at most once. So nothing is lost however much is said, and memory is bounded by the connections.
//!
//! The source is woken once: whoever leaves word while it is not awake rings, where the source is to be found then. Before
//! it sleeps it says so and looks again. That the last promoter is gone is word like any other, and found by the same look.
//! While the guest has no room, only word that may end a connection wakes the source: whatever else is said can wait for the
//! look that comes with the room. No lock is held across a system call.

use std::mem;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use crate::machine::{News, Seq, View};
use crate::packet::Template;
use crate::places::{Place, Places};
use crate::promotion::{Promotion, Refusal};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};

/// What a source and its handles share.
#[derive(Debug)]
pub(crate) struct Hub {
    inbox: Mutex<Inbox>,
    closed: AtomicBool,
    awake: AtomicBool,
    /// Wakes the source where it sleeps.
    waker: Mutex<Waker>,
    /// The guest has no room. Read with the inbox locked, and written before that is looked into: who does not see that it
    /// is over is seen.
    starved: AtomicBool,
    ids: AtomicU64,
    places: Arc<Places>,
}

/// Where word is left.
#[derive(Debug, Default)]
struct Inbox {
    lists: Lists,
    /// The last promoter is gone: there will be no more arrivals.
    abandoned: bool,
}

/// What there is to do for a source that is about to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToDo {
    /// To sleep.
    Sleep,
    /// To take what came meanwhile.
    Work,
    /// To close, if it has no connections, and else to sleep: nothing new will come.
    Over,
}

/// What happened since the source last looked.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) changed: Vec<Arc<Link>>,
}

/// A connection on its way to the source.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) link: Arc<Link>,
    pub(crate) promotion: Promotion,
    pub(crate) template: Template,
    pub(crate) place: Place,
}

/// What a connection and its handle share.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: u64,
    word: Mutex<Word>,
    /// The number after the last that was sent to the guest.
    sent: AtomicU32,
    /// The guest was sent the end: its next acknowledgement may be the last.
    ending: AtomicBool,
    ended: AtomicBool,
    /// The source's name for it.
    slot: AtomicU32,
}

#[derive(Debug)]
struct Word {
    view: View,
    /// It is in the list of those to look into.
    listed: bool,
}

impl Hub {
    pub(crate) fn new(places: usize, waker: Waker) -> Self {
        Self {
            inbox: Mutex::new(Inbox::default()),
            closed: AtomicBool::new(false),
            awake: AtomicBool::new(false),
            waker: Mutex::new(waker),
            starved: AtomicBool::new(false),
            ids: AtomicU64::new(0),
            places: Places::new(places),
        }
    }

    /// A place for a connection, if there is one and it has none.
    pub(crate) fn place(&self, promotion: &Promotion) -> Result<Place, Refusal> {
        self.places.take(promotion.guests_ends(), promotion.hosts_ends()?)
    }

    pub(crate) fn link(&self, promotion: &Promotion) -> Arc<Link> {
        Arc::new(Link::new(self.ids.fetch_add(1, Ordering::Relaxed), promotion.view(), promotion.next))
    }

    /// Hands a connection to the source; gives it back if there is none.
    pub(crate) fn arrive(&self, arrival: Arrival) -> Result<(), Box<Arrival>> {
        {
            let mut inbox = lock(&self.inbox);
            if self.closed.load(Ordering::Relaxed) {
                arrival.link.end();
                return Err(Box::new(arrival));
            }
            inbox.lists.arrivals.push(arrival);
            if self.starved.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        self.ring();
        Ok(())
    }

    /// Leaves word of a connection.
    pub(crate) fn tell<R>(&self, link: &Arc<Link>, say: impl FnOnce(&mut View, Seq) -> R) -> R {
        let (said, listed) = {
            let mut word = lock(&link.word);
            // Read with the lock held: so it is never before what was acknowledged.
            let sent = Seq(link.sent.load(Ordering::Acquire));
            (say(&mut word.view, sent), mem::replace(&mut word.listed, true))
        };
        let may_wait = listed || {
            let mut inbox = lock(&self.inbox);
            inbox.lists.changed.push(Arc::clone(link));
            self.starved.load(Ordering::Relaxed)
        };
        // Asked last: another thread's word may have relied on this one's place in the list.
        if !may_wait || link.may_end() {
            self.ring();
        }
        said
    }

    /// There are no promoters any more.
    pub(crate) fn abandon(&self) {
        let may_wait = {
            let mut inbox = lock(&self.inbox);
            inbox.abandoned = true;
            self.starved.load(Ordering::Relaxed)
        };
        if !may_wait {
            self.ring();
        }
    }

    /// Wakes the source if it is not awake.
    fn ring(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            let waker = lock(&self.waker).clone();
            waker.wake();
        }
    }

    /// For the source: how it is woken when it sleeps next, and whether that is because the guest has no room.
    pub(crate) fn wake_by(&self, waker: Waker, starved: bool) {
        self.starved.store(starved, Ordering::Relaxed);
        // The old one is dropped without the lock: it is somebody else's code.
        let _old = mem::replace(&mut *lock(&self.waker), waker);
    }

    /// For the source: what happened; `lists` are empty ones to go on with.
    pub(crate) fn take_lists(&self, lists: &mut Lists) {
        mem::swap(&mut lock(&self.inbox).lists, lists);
    }

    /// For the source, which is about to sleep: what there is to do. From then on whoever leaves word wakes it.
    pub(crate) fn lie_down(&self) -> ToDo {
        // Exchanged, as handles do: loom knows of no order between that and a mere store.
        self.awake.swap(false, Ordering::SeqCst);
        let Inbox { lists, abandoned } = &*lock(&self.inbox);
        match lists.arrivals.is_empty() && lists.changed.is_empty() {
            false => ToDo::Work,
            true if *abandoned => ToDo::Over,
            true => ToDo::Sleep,
        }
    }

    /// For the source: nothing is taken any more; what was on its way is dropped.
    pub(crate) fn close(&self) {
        let mut left = Lists::default();
        {
            let mut inbox = lock(&self.inbox);
            self.closed.store(true, Ordering::Relaxed);
            mem::swap(&mut inbox.lists, &mut left);
        }
        left.arrivals.iter().for_each(|arrival| arrival.link.end());
    }
}

impl Link {
    fn new(id: u64, view: View, sent: u32) -> Self {
        Self {
            id,
            word: Mutex::new(Word { view, listed: false }),
            sent: AtomicU32::new(sent),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            slot: AtomicU32::new(0),
        }
    }

    /// What was said since the last look.
    pub(crate) fn news(&self) -> News {
        let mut word = lock(&self.word);
        word.listed = false;
        word.view.take()
    }

    /// Whether the connection is over by what was said, or may be.
    fn may_end(&self) -> bool {
        self.ending.load(Ordering::Acquire) || lock(&self.word).view.is_over()
    }

    /// Whether the guest was heard to end its half.
    pub(crate) fn has_guests_end(&self) -> bool {
        lock(&self.word).view.has_fin()
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Acquire)
    }

    /// Everything before `next` was sent; to be said before the guest sees it.
    pub(crate) fn set_sent(&self, next: Seq) {
        self.sent.store(next.0, Ordering::Release);
    }

    /// The guest was sent the end; to be said before it sees that.
    pub(crate) fn set_ending(&self) {
        self.ending.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// What is behind these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
