//! The benches that go through a worker thread: `lone-frame`, `idle`, `irqs`.
//!
//! ```text
//! producer (the bench) --send--> Worker's thread --> ring --> IrqProbe.raise() --> guest (the bench's driver)
//!                                       ^------------------------- kick ------------------|
//! ```
//!
//! One worker lives at a time: an idle one that wakes up would disturb the other's figures.

pub(crate) mod idle;
mod irq;
pub(crate) mod irqs;
pub(crate) mod lone_frame;
mod netrx;
mod predecessor;

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::Result;
use crate::guest::{Driver, HEADER_LEN, Shape};
use crate::peer::Peer;

pub(crate) use irq::IrqProbe;

/// What is between the producer and the worker.
type Channel = (Sender<Vec<u8>>, Receiver<Vec<u8>>);

/// An empty channel with room for 1024 frames.
fn channel() -> Channel {
    crossbeam_channel::bounded(1024)
}

/// A receive worker on a thread of its own, from a channel into a guest's ring, EVENT_IDX acknowledged.
trait Worker: Send {
    /// The name of its thread, as the system knows it: at most 15 bytes.
    fn thread_name(&self) -> &'static str;

    /// Hands it a frame; blocks while its channel is full.
    fn send(&self, frame: Vec<u8>) -> Result<()>;

    /// What the guest calls, from a thread of its own, when it has posted buffers and the ring asks for a
    /// kick.
    fn kick(&self) -> Kick;

    /// No more frames come: delivers what it still has, while the guest goes on, and joins the thread.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Tells a worker that the guest has posted buffers.
type Kick = Box<dyn Fn() + Send>;

/// Starts a worker on a guest whose buffers are posted, behind a channel; `None` where there is no such subject yet.
type Start = fn(&Driver, Arc<IrqProbe>, Channel) -> Result<Option<Box<dyn Worker>>>;

/// The subjects.
const WORKERS: [(Peer, Start); 2] = [(Peer::Netrx, netrx::start), (Peer::Predecessor, predecessor::start)];

/// A guest with all its buffers posted, and a worker that serves it.
struct Rig {
    driver: Driver,
    irq: Arc<IrqProbe>,
    kick: Kick,
    worker: Box<dyn Worker>,
}

impl Rig {
    /// Starts the worker, if there is one.
    fn start(start: Start, frame: usize, channel: Channel) -> Result<Option<Self>> {
        let mut driver = Driver::new(Shape::holding(frame + HEADER_LEN, 1))?;
        driver.post(driver.layout().shape.heads());
        let irq = Arc::new(IrqProbe::default());
        let worker = start(&driver, Arc::clone(&irq), channel)?;
        Ok(worker.map(|worker| Self { driver, irq, kick: worker.kick(), worker }))
    }
}
