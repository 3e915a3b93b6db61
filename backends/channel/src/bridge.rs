//! One thread that sleeps on all channels that are waited for together with other sources.
//!
//! A channel can wake nobody but who sleeps on it. So those that are [watched](netrx::FrameSource::watch) are slept on here,
//! all by one thread, however many they are; it wakes the watcher and forgets the channel. The thread starts with the first
//! source that is watched, and is joined with the last one that was.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, unbounded};

/// The thread, while any source has need of it.
static BRIDGE: Mutex<Weak<Bridge>> = Mutex::new(Weak::new());

/// What a source that was watched once keeps until its end.
#[derive(Debug)]
pub(crate) struct Pier {
    bridge: Arc<Bridge>,
    id: u64,
    /// The thread sleeps on its channels.
    armed: Arc<AtomicBool>,
    waker: Waker,
}

#[derive(Debug)]
struct Bridge {
    /// Gone only while the bridge ends.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    ids: AtomicU64,
}

enum Order {
    Watch(Watched),
    Forget(u64),
}

/// The channels of a source, and whom to wake.
struct Watched {
    id: u64,
    channels: Box<dyn Channels>,
    armed: Arc<AtomicBool>,
    waker: Waker,
}

impl Watched {
    fn wake(self) {
        self.armed.store(false, Ordering::Release);
        self.waker.wake();
    }
}

/// Channels to sleep on.
trait Channels: Send {
    /// Adds them, which are two.
    fn add<'c>(&'c self, select: &mut Select<'c>);
}

impl<T: Send> Channels for (Receiver<T>, Receiver<()>) {
    fn add<'c>(&'c self, select: &mut Select<'c>) {
        select.recv(&self.0);
        select.recv(&self.1);
    }
}

impl Pier {
    /// A place on the bridge; `None` if the system has no thread to spare.
    pub(crate) fn new() -> Option<Self> {
        let bridge = Bridge::shared()?;
        let id = bridge.ids.fetch_add(1, Ordering::Relaxed);
        Some(Self { bridge, id, armed: Arc::default(), waker: Waker::noop().clone() })
    }

    /// Has `waker` woken once when there is something in one of the channels, or all senders are gone.
    pub(crate) fn watch<T: Send + 'static>(
        &mut self,
        frames: &Receiver<T>,
        woken: &Receiver<()>,
        waker: &Waker,
    ) {
        let known = self.waker.will_wake(waker);
        if self.armed.swap(true, Ordering::AcqRel) && known {
            return;
        }
        self.waker.clone_from(waker);
        let channels = Box::new((frames.clone(), woken.clone()));
        let (armed, waker) = (Arc::clone(&self.armed), waker.clone());
        self.bridge.tell(Order::Watch(Watched { id: self.id, channels, armed, waker }));
    }
}

impl Drop for Pier {
    /// The channel's senders are to find out that nobody receives any more.
    fn drop(&mut self) {
        self.bridge.tell(Order::Forget(self.id));
    }
}

impl Bridge {
    /// The one that there is, or the first.
    fn shared() -> Option<Arc<Self>> {
        let mut shared = BRIDGE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bridge) = shared.upgrade() {
            return Some(bridge);
        }
        let (orders, told) = unbounded();
        let thread = thread::Builder::new().name("netrx-channels".into()).spawn(move || serve(&told)).ok()?;
        let bridge = Self { orders: Some(orders), thread: Some(thread), ids: AtomicU64::new(0) };
        let bridge = Arc::new(bridge);
        *shared = Arc::downgrade(&bridge);
        Some(bridge)
    }

    fn tell(&self, order: Order) {
        // The thread ends only with this sender.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.orders = None;
        let Some(thread) = self.thread.take() else { return };
        // A waker may be what let go of the last source; it is called by the thread itself.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// Sleeps on all channels and on orders, until there can be no more of these.
fn serve(orders: &Receiver<Order>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let ready = ready(orders, &watched);
        // Orders come first: they may be about what is ready.
        match orders.try_recv() {
            Ok(order) => obey(order, &mut watched),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let source = ready.checked_sub(1).map(|channel| watched.swap_remove(channel / 2));
                source.into_iter().for_each(Watched::wake);
            }
        }
    }
}

/// Which of them has something: 0 is the orders, then come two for each source.
fn ready(orders: &Receiver<Order>, watched: &[Watched]) -> usize {
    let mut select = Select::new();
    select.recv(orders);
    watched.iter().for_each(|watched| watched.channels.add(&mut select));
    select.ready()
}

fn obey(order: Order, watched: &mut Vec<Watched>) {
    let forgotten = match &order {
        Order::Watch(Watched { id, .. }) | Order::Forget(id) => *id,
    };
    watched.retain(|watched| watched.id != forgotten);
    if let Order::Watch(source) = order {
        watched.push(source);
    }
}
