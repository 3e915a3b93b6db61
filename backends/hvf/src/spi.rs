//! A shared peripheral interrupt of the GIC.

use netrx::IrqId;

use crate::{HvCode, HvfError, sys};

/// The number of an interrupt that the GIC has.
#[derive(Debug)]
pub(crate) struct Spi(u32);

impl Spi {
    /// Asks the GIC for its range, and sets the interrupt low: an edge-triggered one ignores that, and one of the MSI
    /// range, which cannot be asked for, is refused.
    pub(crate) fn new(irq: IrqId) -> Result<Self, HvfError> {
        let range = sys::spi_range().map_err(HvfError::call("hv_gic_get_spi_interrupt_range"))?;
        if !range.contains(&u64::from(irq.0)) {
            return Err(HvfError::NoSuchIrq(irq));
        }
        match sys::set_spi(irq.0, false) {
            Ok(()) => Ok(Self(irq.0)),
            Err(HvCode::BadArgument) => Err(HvfError::NoSuchIrq(irq)),
            Err(code) => Err(HvfError::call("hv_gic_set_spi")(code)),
        }
    }

    pub(crate) fn set(&self, high: bool) -> Result<(), HvfError> {
        sys::set_spi(self.0, high).map_err(HvfError::call("hv_gic_set_spi"))
    }
}
