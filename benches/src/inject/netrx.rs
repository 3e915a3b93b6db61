//! netrx, through its public engine.

use super::{Case, Injector};
use crate::Result;
use crate::guest::Driver;

/// Can do every case.
pub(super) fn subject(_case: &Case, _driver: Driver) -> Result<Option<Injector>> {
    Ok(None)
}
