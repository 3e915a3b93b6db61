//! netrx's worker, fed by its channel source.

use std::sync::Arc;

use super::{IrqProbe, Worker};
use crate::Result;
use crate::guest::Driver;

/// Starts it through the public slot.
pub(super) fn start(_driver: &Driver, _irq: Arc<IrqProbe>) -> Result<Option<Box<dyn Worker>>> {
    Ok(None)
}
