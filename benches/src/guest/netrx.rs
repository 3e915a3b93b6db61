//! What all netrx subjects share: the ring of a driver, and an engine over it.

use std::sync::Arc;

use netrx::engine::{Budget, Moderation};
use netrx::ring::{Cursor, RingConfig, SplitRing};
use netrx::{Engine, EngineConfig, Features, Gpa, IrqError, IrqLine};

use super::{Driver, memory::RamMap};
use crate::Result;

/// What every driver of the benches acknowledges.
pub(crate) const FEATURES: Features =
    Features(Features::VERSION_1.0 | Features::EVENT_IDX.0 | Features::INDIRECT_DESC.0);

/// An interrupt line that only counts.
#[derive(Default)]
pub(crate) struct Count;

impl IrqLine for Count {
    fn raise(&mut self) -> std::result::Result<(), IrqError> {
        Ok(())
    }
}

/// A driver's registers.
pub(crate) fn ring_config(driver: &Driver) -> RingConfig {
    let layout = driver.layout();
    RingConfig {
        size: layout.shape.size,
        desc: Gpa(layout.desc),
        avail: Gpa(layout.avail),
        used: Gpa(layout.used),
        start: Cursor::default(),
    }
}

/// A driver's memory.
pub(crate) fn memory(driver: &Driver) -> Result<RamMap> {
    RamMap::new(Arc::clone(driver.ram()))
}

/// An engine that decides about the interrupt after every batch, and takes at most `frames` frames a turn.
pub(crate) fn engine(driver: &Driver, features: Features, frames: u32) -> Result<Engine<RamMap, Count>> {
    let memory = memory(driver)?;
    let ring = SplitRing::new(ring_config(driver), features, &memory)?;
    let budget = Budget { frames, bytes: u64::MAX };
    let config = EngineConfig { moderation: Moderation::NONE, budget, ..EngineConfig::default() };
    Ok(Engine::new(ring, memory, Count, config))
}
