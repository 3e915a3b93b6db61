//! The calls that take no memory of the guest's.

#![allow(unsafe_code, reason = "calls the framework")]

use std::ops::Range;

use applevisor_sys::{hv_gic_get_spi_interrupt_range, hv_gic_set_spi, hv_vcpus_exit};

use crate::HvCode;

/// The numbers of the GIC's SPIs.
pub(crate) fn spi_range() -> Result<Range<u64>, HvCode> {
    let (mut first, mut count) = (0, 0);
    // SAFETY: both numbers are borrowed for the call.
    HvCode::check(unsafe { hv_gic_get_spi_interrupt_range(&raw mut first, &raw mut count) })?;
    Ok(u64::from(first)..u64::from(first) + u64::from(count))
}

/// Sets the level of an SPI; a high one is also an edge.
pub(crate) fn set_spi(number: u32, high: bool) -> Result<(), HvCode> {
    // SAFETY: takes no pointer; the framework checks the number.
    HvCode::check(unsafe { hv_gic_set_spi(number, high) })
}

/// Makes vCPUs leave the guest, or not enter it the next time.
pub(crate) fn exit(vcpus: &[u64]) -> Result<(), HvCode> {
    let count = u32::try_from(vcpus.len()).map_err(|_| HvCode::BadArgument)?;
    // SAFETY: as many numbers are borrowed for the call, which only reads them; the framework checks each.
    HvCode::check(unsafe { hv_vcpus_exit(vcpus.as_ptr(), count) })
}
