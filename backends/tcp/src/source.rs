//! The source, as a VMM holds it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::time::Instant;

use netrx::source::{Watch, Watched};
use netrx::{FrameSource, Received, RxSpace, SourceError};
use netrx_poller::{Event, Poller, Trigger};
use slab::Slab;

use crate::flow::{Flow, Served};
use crate::handle::{End, Ended, Promoter};
use crate::hub::{Arrival, Hub, Lists, ToDo};
use crate::stream::PeekFrom;
use crate::timers::Timers;

/// Bytes that a connection sends before the next has its turn.
const TURN: usize = 256 << 10;
/// Bytes after which the guest is shown what there is, at most one read more.
const BATCH: usize = 1 << 20;

/// A [`FrameSource`] of the frames of promoted connections.
///
/// * **Order**: within a connection by sequence number, but for what is sent again. Connections take turns, by bytes.
/// * **Blocking**: only [`wait`](FrameSource::wait) blocks, and does not poll: until a stream has bytes that can be
///   sent, a handle leaves word, or a connection's [time](Self::due) is over, which is only while it waits for an
///   answer.
/// * **Errors**: those of a connection end the connection. The source fails only when it cannot wait.
/// * **Threads**: as any source; handles are used from all others meanwhile.
///
/// It is waited for together with other sources by its descriptor and its time ([`watch`](FrameSource::watch)). An event loop
/// that drives it by itself polls the descriptor for reading ([`AsFd`]), and calls [`recv`](FrameSource::recv) when
/// [`due`](Self::due), too.
///
/// # Example
/// ```no_run
/// use netrx_tcp::{Promotion, TcpSource};
/// # fn established() -> Promotion { unreachable!() }
///
/// let (source, promoter, ends) = TcpSource::new(1024)?; // the source is to be offered to an `RxWorkerSlot`
/// let connection = promoter.promote(established())?;
/// connection.received(4711, 65_535)?; // the guest sent something
/// let ended = ends.recv()?;
/// # drop((source, ended));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TcpSource {
    hub: Arc<Hub>,
    ended: Sender<Ended>,
    peek_from: PeekFrom,
    knock: Arc<Knock>,
    /// Watches streams by their edges: bytes that are in flight stay queued, and would otherwise be told of for ever.
    poller: Poller,
    flows: Slab<Flow>,
    /// Flows that may have something to send, in the order of their turns.
    turns: VecDeque<u32>,
    timers: Timers,
    /// Empty lists, kept for their memory.
    lists: Lists,
    /// Where bytes are summed for guests that take no partial checksums.
    scratch: Vec<u8>,
    /// News of streams were collected since the last `recv`.
    collected: bool,
    /// Word that may end a connection wakes whoever waits for room in the guest; the bell does not ring.
    starved: bool,
}

impl TcpSource {
    /// A source with places for so many connections, what hands connections to it, and where their ends are told.
    ///
    /// A connection keeps its place until its [`Ended`] was taken and dropped, or the receiver was.
    ///
    /// # Errors
    /// When the system has no descriptors to spare: it takes two on Linux, one on macOS and FreeBSD, three on the other BSDs,
    /// and one for each connection.
    pub fn new(places: usize) -> io::Result<(Self, Promoter, Receiver<Ended>)> {
        Self::with(places, PeekFrom::Anywhere)
    }

    fn with(places: usize, peek_from: PeekFrom) -> io::Result<(Self, Promoter, Receiver<Ended>)> {
        let poller = Poller::new(Trigger::Edge)?;
        let hub = Arc::new(Hub::new(places, poller.waker()));
        let promoter = Promoter::new(Arc::clone(&hub));
        let (ended, ends) = channel();
        let source = Self {
            hub,
            ended,
            peek_from,
            knock: Arc::new(Knock { woken: AtomicBool::new(false), bell: poller.waker() }),
            poller,
            flows: Slab::new(),
            turns: VecDeque::new(),
            timers: Timers::default(),
            lists: Lists::default(),
            scratch: Vec::new(),
            collected: false,
            starved: false,
        };
        Ok((source, promoter, ends))
    }

    /// When something will be overdue, if anything is waited for.
    pub fn due(&mut self) -> Option<Instant> {
        self.timers.next(&mut self.flows)
    }

    /// How many connections have not ended.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.flows.len()
    }

    /// Takes over word from handles, and what the time says.
    fn catch_up(&mut self, now: Instant) {
        self.take_word(now);
        while let Some(slot) = self.timers.pop(&mut self.flows, now) {
            if let Some(flow) = self.flows.get_mut(slot as usize) {
                flow.conn.on_time(now);
            }
            self.settle(slot);
        }
    }

    fn take_word(&mut self, now: Instant) {
        let mut lists = std::mem::take(&mut self.lists);
        self.hub.take_lists(&mut lists);
        lists.arrivals.drain(..).for_each(|arrival| self.adopt(arrival));
        for link in lists.changed.drain(..) {
            let slot = link.slot();
            if let Some(flow) = self.flows.get_mut(slot as usize).filter(|flow| flow.link.id == link.id) {
                flow.heard(&link.news(), now);
                self.settle(slot);
            }
        }
        self.lists = lists;
    }

    /// From now on word rings the bell that [`wait`](FrameSource::wait) and the descriptor's readers hear.
    fn come_back(&mut self) {
        if std::mem::take(&mut self.starved) {
            self.hub.wake_by(self.knock.bell.clone(), false);
        }
    }

    /// What there is to do before it sleeps. It is not over while there are connections.
    fn lie_down(&self) -> ToDo {
        match self.hub.lie_down() {
            ToDo::Over if !self.flows.is_empty() => ToDo::Sleep,
            to_do => to_do,
        }
    }

    fn adopt(&mut self, arrival: Arrival) {
        let entry = self.flows.vacant_entry();
        let slot = entry.key() as u32;
        arrival.link.set_slot(slot);
        let flow = entry.insert(Flow::new(arrival, self.peek_from));
        let watched = flow.stream.as_ref().map(|stream| self.poller.watch(stream.as_fd(), slot));
        if let Some(Err(error)) = watched {
            flow.fail(End::Failed(error));
        }
        self.settle(slot);
    }

    /// Collects news of streams, and silences the bell.
    fn collect(&mut self, now: Instant) -> Result<(), SourceError> {
        self.collected = true;
        let Self { flows, turns, timers, poller, .. } = self;
        poller
            .collect(|event| {
                news(flows, turns, poller, event, now);
                timers.follow(flows, event.name);
            })
            .map_err(SourceError::io("collect news of streams"))
    }

    /// Has a flow wait for whatever it needs now: its turn, its time, bytes, or nothing any more.
    fn settle(&mut self, slot: u32) {
        let Some(flow) = self.flows.get_mut(slot as usize) else { return };
        if flow.conn.fate().is_some() {
            self.close(slot);
        } else if let Some(stream) = flow.stream.as_mut()
            && stream.hushed
            && flow.conn.wants_bytes()
        {
            stream.hushed = false;
            if let Err(error) = self.poller.listen(stream.as_fd(), slot) {
                flow.fail(End::Failed(error));
                self.close(slot);
            }
        }
        let Some(flow) = self.flows.get_mut(slot as usize) else { return };
        enqueue(&mut self.turns, flow, slot);
        self.timers.follow(&mut self.flows, slot);
    }

    /// Closes the stream of a flow that has ended, and reports it once the guest knows.
    fn close(&mut self, slot: u32) {
        let Some(flow) = self.flows.get_mut(slot as usize) else { return };
        if let Some(stream) = flow.stream.take() {
            // It fails only for a descriptor that was never watched.
            let _ = self.poller.forget(stream.as_fd());
        }
        flow.link.end();
        let Some(fate) = flow.conn.fate().filter(|_| flow.conn.plan().is_none()) else { return };
        if flow.queued {
            self.turns.retain(|other| *other != slot);
        }
        let flow = self.flows.remove(slot as usize);
        // Nobody needs to listen.
        let _ = self.ended.send(flow.into_end(fate));
    }

    /// Lets flows send in turn, until the guest has no room, the batch is large enough, or there is nothing to send.
    fn send(&mut self, space: &mut RxSpace<'_>, now: Instant) -> Received {
        let mut batch = 0;
        while batch < BATCH {
            let Some(slot) = self.turns.front().copied() else { return Received::Empty };
            let Some(flow) = self.flows.get_mut(slot as usize) else {
                self.turns.pop_front();
                continue;
            };
            match flow.serve(space, &mut self.scratch, now) {
                Served::NoRoom => return Received::More,
                Served::Nothing => {
                    (flow.queued, flow.spent) = (false, 0);
                    self.turns.pop_front();
                    self.settle(slot);
                }
                Served::Sent(bytes) => {
                    batch += bytes;
                    flow.spent += bytes;
                    if flow.spent >= TURN {
                        flow.spent -= TURN;
                        self.turns.rotate_left(1);
                    }
                    if flow.conn.fate().is_some() {
                        self.close(slot);
                    }
                }
            }
        }
        Received::More
    }
}

impl AsFd for TcpSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl FrameSource for TcpSource {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let now = Instant::now();
        self.come_back();
        self.catch_up(now);
        // Those that have their turn anyway are no news.
        if !self.collected && self.turns.len() < self.flows.len() {
            self.collect(now)?;
        }
        // What there is no room for waits in the sockets, and its senders with it.
        let sent = space.keeping(|space| self.send(space, now));
        if sent == Received::Empty && !self.collected {
            self.collect(now)?;
        }
        self.collected = false;
        if sent != Received::Empty || !self.turns.is_empty() {
            return Ok(Received::More);
        }
        Ok(match self.lie_down() {
            ToDo::Work => Received::More,
            ToDo::Sleep => Received::Empty,
            ToDo::Over => Received::Closed,
        })
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.come_back();
        if self.knock.was_woken() || self.lie_down() != ToDo::Sleep {
            return Ok(());
        }
        let until = [until, self.due()].into_iter().flatten().min();
        let Self { flows, turns, timers, poller, .. } = self;
        poller
            .wait(until, |event| {
                news(flows, turns, poller, event, Instant::now());
                timers.follow(flows, event.name);
            })
            .map_err(SourceError::io("wait for streams"))?;
        self.collected = true;
        self.knock.was_woken();
        Ok(())
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        self.come_back();
        if self.knock.is_woken() || self.lie_down() != ToDo::Sleep {
            watch.ready();
        }
        self.due().into_iter().for_each(|due| watch.until(due));
        watch.readable(self.poller.as_fd());
        Watched::Yes
    }

    /// Takes over what was said of connections, and new ones; those that end free their descriptors. Only word that may end
    /// one wakes `waker`, and until the next [`recv`](FrameSource::recv) no word at all the source's own descriptor.
    fn starved(&mut self, waker: &Waker) {
        self.starved = true;
        self.hub.wake_by(waker.clone(), true);
        self.take_word(Instant::now());
        // That it is over can wait for the room.
        if self.lie_down() == ToDo::Work {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.knock))
    }
}

/// What others wake the source by. It is remembered until the next wait, though a `recv` before that silences the bell.
#[derive(Debug)]
struct Knock {
    woken: AtomicBool,
    bell: Waker,
}

impl Knock {
    /// Whether the next wait is to end at once.
    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Whether it was woken since it was last asked this.
    fn was_woken(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.bell.wake_by_ref();
    }
}

impl Drop for TcpSource {
    fn drop(&mut self) {
        self.hub.close();
        self.flows.iter().for_each(|(_, flow)| flow.link.end());
    }
}

/// A stream has bytes or has ended. If nothing can be done for it now, it is left alone until something can: one that
/// is stalled does not wake us twice.
fn news(flows: &mut Slab<Flow>, turns: &mut VecDeque<u32>, poller: &Poller, event: Event, now: Instant) {
    let Some(flow) = flows.get_mut(event.name as usize) else { return };
    flow.conn.set_readable(true, now);
    enqueue(turns, flow, event.name);
    let Some(stream) = flow.stream.as_mut() else { return };
    stream.reads_short |= event.reads_short;
    if !flow.queued && !stream.hushed {
        stream.hushed = poller.hush(stream.as_fd(), event.name).is_ok();
    }
}

/// Gives a flow its turn if it has something to send.
fn enqueue(turns: &mut VecDeque<u32>, flow: &mut Flow, slot: u32) {
    if !flow.queued && flow.conn.plan().is_some() {
        flow.queued = true;
        turns.push_back(slot);
    }
}

#[cfg(test)]
mod tests;
