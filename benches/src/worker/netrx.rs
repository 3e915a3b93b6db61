//! netrx's worker: the public slot, fed by its channel source.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use netrx::engine::Moderation;
use netrx::worker::{RxConfig, RxWorkerSlot};
use netrx::{EngineConfig, IrqError, IrqLine};
use netrx_channel::ChannelSource;

use super::{Channel, IrqProbe, Kick, Worker};
use crate::Result;
use crate::guest::netrx::{FEATURES, memory, ring_config};
use crate::guest::{Driver, RamMap};

const NAME: &str = "netrx-rx";
/// How long the predecessor gathers frames before it interrupts, as published.
const PREDECESSORS_WINDOW: Duration = Duration::from_micros(200);

struct Line(Arc<IrqProbe>);

impl IrqLine for Line {
    fn raise(&mut self) -> std::result::Result<(), IrqError> {
        self.0.raise();
        Ok(())
    }
}

struct Netrx {
    frames: Sender<Vec<u8>>,
    ended: crossbeam_channel::Receiver<()>,
    slot: Arc<RxWorkerSlot<RamMap, Line>>,
}

/// Starts it through the public slot, with its defaults: the latency comes first.
pub(super) fn start(
    driver: &Driver,
    irq: Arc<IrqProbe>,
    channel: Channel,
) -> Result<Option<Box<dyn Worker>>> {
    with(driver, irq, channel, EngineConfig::default())
}

/// The same, allowed to hold interrupts back under load for as long as the predecessor does.
pub(super) fn start_adaptive(
    driver: &Driver,
    irq: Arc<IrqProbe>,
    channel: Channel,
) -> Result<Option<Box<dyn Worker>>> {
    let moderation = Moderation::adaptive(PREDECESSORS_WINDOW);
    with(driver, irq, channel, EngineConfig { moderation, ..EngineConfig::default() })
}

fn with(
    driver: &Driver,
    irq: Arc<IrqProbe>,
    channel: Channel,
    engine: EngineConfig,
) -> Result<Option<Box<dyn Worker>>> {
    let (frames, receiver) = channel;
    let (end, ended) = crossbeam_channel::bounded(1);
    let slot = RxWorkerSlot::new(NAME);
    slot.deposit_memory(memory(driver)?);
    slot.deposit_irq(Line(irq));
    slot.offer_source(0, ChannelSource::new(receiver));
    slot.on_end(move |_| {
        // Only one end is waited for.
        let _ = end.try_send(());
    });
    slot.driver_ok(RxConfig { ring: ring_config(driver), features: FEATURES, engine, restored: false })?;
    Ok(Some(Box::new(Netrx { frames, ended, slot: Arc::new(slot) })))
}

impl Worker for Netrx {
    fn thread_name(&self) -> &'static str {
        NAME
    }

    fn send(&self, frame: Vec<u8>) -> Result<()> {
        Ok(self.frames.send(frame)?)
    }

    fn kick(&self) -> Kick {
        let slot = Arc::clone(&self.slot);
        Box::new(move || slot.kick())
    }

    /// It ends by itself once the channel is closed and empty.
    fn finish(self: Box<Self>) -> Result<()> {
        drop(self.frames);
        self.ended.recv()?;
        self.slot.stop()?;
        Ok(())
    }
}
