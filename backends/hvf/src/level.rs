//! Interrupts that are a level: virtio-mmio's line.

use std::thread;
use std::time::Duration;

use netrx::{IrqError, IrqId};

use crate::spi::Spi;
use crate::{HvCode, HvfError};

/// How often lowering is tried while the GIC is busy, and how long it is left alone in between: a tenth of a second in all, for
/// longer than which the line's contract lets only a broken one be busy.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_micros(100);

/// A level-triggered line, for a [`MmioDevice`](netrx::MmioDevice): the interrupt is high from `set(true)` to `set(false)`.
///
/// It begins low, and falls when it is dropped. It has no status register; whoever keeps one decides when it is high.
#[derive(Debug)]
pub struct LevelPin(Spi);

impl LevelPin {
    pub(crate) fn new(irq: IrqId) -> Result<Self, HvfError> {
        Spi::new(irq).map(Self)
    }

    fn lower(&self) -> Result<(), HvfError> {
        let mut tried = 1;
        loop {
            match self.0.set(false) {
                Err(HvfError::Call { code: HvCode::Busy, .. }) if tried < TRIES => tried += 1,
                lowered => return lowered,
            }
            thread::sleep(PAUSE);
        }
    }
}

impl netrx::LevelLine for LevelPin {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        if high {
            return Ok(self.0.set(true)?);
        }
        self.lower().map_err(|error| IrqError::Failed(Box::new(error)))
    }
}

impl Drop for LevelPin {
    fn drop(&mut self) {
        if let Err(error) = self.lower() {
            // So it is where the VM was destroyed first.
            tracing::debug!(%error, "an interrupt was not lowered");
        }
    }
}
