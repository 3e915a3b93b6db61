//! The worker and its slot, from outside: parts, starts and stops, ends of every kind, events, idleness, parts that ask, and what
//! is beside it.

mod asking;
mod beside;
mod end;
mod events;
mod idle;
mod life;
mod parts;
mod spawn;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use netrx::ring::{Cursor, RingConfig};
use netrx::worker::Stopped;
use netrx::{Features, RxConfig, RxWorkerSlot};
use netrx_mock::{
    DriverConfig, FakeDriver, IrqProbe, MockIrq, MockMemory, Script, ScriptedSource, Shape, eventually,
};

/// What a test returns, so that it can use `?`.
type Tested = Result<(), Box<dyn Error>>;

type Slot = RxWorkerSlot<MockMemory, MockIrq>;

/// How long anything may take before a test calls it stuck.
const STUCK: Duration = Duration::from_secs(20);

/// A guest with posted buffers, and everything that a worker needs, deposited.
struct Rig {
    slot: Arc<Slot>,
    driver: FakeDriver,
    probe: IrqProbe,
    script: Script,
    start: Cursor,
}

impl Rig {
    fn new(features: Features) -> Result<Self, Box<dyn Error>> {
        let mut rig = Self::starved(features)?;
        rig.driver.post(16);
        Ok(rig)
    }

    /// The same, but the guest posts nothing yet.
    fn starved(features: Features) -> Result<Self, Box<dyn Error>> {
        let memory = MockMemory::heap(&[1 << 18]);
        let driver = FakeDriver::new(&memory, DriverConfig::new(16, features, Shape::single(2048)))?;
        let (irq, probe) = MockIrq::new();
        let (source, script) = ScriptedSource::new();
        let slot = Slot::new("netrx-slot-test");
        slot.deposit_memory(memory);
        slot.deposit_irq(irq);
        slot.offer_source(0, source);
        let start = driver.ring_config().start;
        Ok(Self { slot: Arc::new(slot), driver, probe, script, start })
    }

    fn config(&self) -> RxConfig {
        let ring = RingConfig { start: self.start, ..self.driver.ring_config() };
        let features = self.driver.features();
        RxConfig { ring, features, engine: Default::default(), restored: false }
    }

    /// The same guest, whose next worker starts at `cursor`.
    fn moved_to(mut self, cursor: Cursor) -> Self {
        self.start = cursor;
        self
    }

    /// The same parts in a slot of another name.
    fn renamed(mut self, name: &str) -> Self {
        let slot = Slot::new(name);
        let (source, script) = ScriptedSource::new();
        slot.deposit_memory(self.driver.memory().clone());
        slot.deposit_irq(MockIrq::to(&self.probe));
        slot.offer_source(0, source);
        (self.slot, self.script) = (Arc::new(slot), script);
        self
    }

    /// Sends a frame and waits until the guest has it.
    fn pass(&mut self, frame: &[u8]) -> Tested {
        self.script.frame(frame);
        let seen = self.frames(1)?;
        assert_eq!(seen, [frame]);
        Ok(())
    }

    /// Waits for `count` frames.
    fn frames(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let mut frames = Vec::new();
        eventually("the frames arrive", || {
            frames.extend(self.driver.drain_frames().unwrap_or_default());
            frames.len() >= count
        });
        Ok(frames)
    }

    /// Stops the worker, which must be there.
    fn stop(&self) -> Result<Stopped, Box<dyn Error>> {
        Ok(self.slot.stop()?.ok_or("no worker was running")?)
    }
}
