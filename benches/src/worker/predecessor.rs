//! The predecessor's worker: `RxInjectThread` on a thread of its own, fed by a bounded channel.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use arcbox_net_inject::inject::RxInjectThread;
use arcbox_net_inject::inline_conn::InlineConn;
use arcbox_net_inject::irq::IrqHandle;
use crossbeam_channel::Sender;

use super::{Channel, IrqProbe, Kick, Worker};
use crate::Result;
use crate::guest::{Driver, GuestRam};
use crate::inject::predecessor_parts;

const NAME: &str = "rx-inject";

struct Predecessor {
    frames: Sender<Vec<u8>>,
    thread: JoinHandle<()>,
    /// Never used: without it the worker would see its connections' channel closed.
    _connections: Sender<InlineConn>,
    /// Keeps the guest's memory mapped while the thread may write to it.
    _ram: Arc<GuestRam>,
}

/// Starts it as its product does.
pub(super) fn start(
    driver: &Driver,
    irq: Arc<IrqProbe>,
    channel: Channel,
) -> Result<Option<Box<dyn Worker>>> {
    let (frames, rx) = channel;
    let (connections, conn_rx) = crossbeam_channel::unbounded();
    let (guest_mem, queue) = predecessor_parts(driver);
    let raise = move |_, _| {
        irq.raise();
        Ok(())
    };
    let body = RxInjectThread {
        rx,
        conn_rx,
        guest_mem,
        queue,
        irq: IrqHandle { callback: Arc::new(raise), exit_vcpus: Arc::new(|| {}), irq: 1 },
        set_interrupt_status: Arc::new(|| {}),
        running: Arc::new(AtomicBool::new(true)),
        event_idx_enabled: true,
    };
    let thread = Builder::new().name(NAME.into()).spawn(move || body.run())?;
    let ram = Arc::clone(driver.ram());
    Ok(Some(Box::new(Predecessor { frames, thread, _connections: connections, _ram: ram })))
}

impl Worker for Predecessor {
    fn thread_name(&self) -> &'static str {
        NAME
    }

    fn send(&self, frame: Vec<u8>) -> Result<()> {
        Ok(self.frames.send(frame)?)
    }

    /// It polls.
    fn kick(&self) -> Kick {
        Box::new(|| {})
    }

    /// It drains a channel whose sender is gone, then returns.
    fn finish(self: Box<Self>) -> Result<()> {
        drop(self.frames);
        self.thread.join().map_err(|_| "the predecessor's thread panicked".into())
    }
}
