//! Interrupts that are an edge: SPIs that the guest programmed so.

use netrx::{IrqError, IrqId, IrqLine};

use crate::HvfError;
use crate::spi::Spi;

/// An edge-triggered line: each raise is one call of `hv_gic_set_spi` with a high level, which the GIC takes as an edge.
///
/// The GIC remembers an edge until the guest takes it. If the guest programmed the interrupt as level-triggered, it is the
/// wrong line: nobody would lower it. There use a [`LevelPin`](crate::LevelPin).
#[derive(Debug)]
pub struct EdgeLine(Spi);

impl EdgeLine {
    pub(crate) fn new(irq: IrqId) -> Result<Self, HvfError> {
        Spi::new(irq).map(Self)
    }
}

impl IrqLine for EdgeLine {
    fn raise(&mut self) -> Result<(), IrqError> {
        Ok(self.0.set(true)?)
    }
}
