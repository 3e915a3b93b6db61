//! The GIC: its SPIs.

#![allow(unsafe_code, reason = "exports symbols of the framework")]

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;

use applevisor_sys::hv_error_t::{HV_BAD_ARGUMENT, HV_BUSY, HV_ERROR, HV_NO_DEVICE};
use applevisor_sys::{hv_gic_config_t, hv_ipa_t, hv_return_t};

use super::state::{Refused, State, call, check, lock, number};

/// The SPIs that there are.
const SPIS: Range<u32> = 32..1020;
/// Those of them that are MSIs.
pub(crate) const MSIS: Range<u32> = 512..576;
/// What the register regions have to be aligned to, in bytes.
const ALIGNMENT: u64 = 1 << 16;

/// Bytes of the redistributors' region: two frames of 64 KiB for each vCPU that a VM may have. The framework tells its own
/// number (`hv_gic_get_redistributor_region_size`); those who printed it report this one.
const REDISTRIBUTORS_LEN: u64 = 32 << 20;

/// A configuration is an address that nobody follows.
static CONFIG: u8 = 0;

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_gic_config_create() -> hv_gic_config_t {
    (&raw const CONFIG).cast_mut().cast()
}

// SAFETY: the symbol of the system's library, with its signature.
#[unsafe(no_mangle)]
extern "C" fn os_release(_object: *mut c_void) {}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_gic_config_set_distributor_base(config: hv_gic_config_t, base: hv_ipa_t) -> hv_return_t {
    number(check_base(config, base))
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_gic_config_set_redistributor_base(config: hv_gic_config_t, base: hv_ipa_t) -> hv_return_t {
    number(check_base(config, base).map(|()| lock().redistributors = Some(base)))
}

fn check_base(config: hv_gic_config_t, base: hv_ipa_t) -> Refused {
    check(is_config(config) && base.is_multiple_of(ALIGNMENT), HV_BAD_ARGUMENT)
}

/// Whether the redistributors' region has that address.
pub(super) fn is_redistributors(state: &State, at: u64) -> bool {
    state.redistributors.is_some_and(|base| (base..base + REDISTRIBUTORS_LEN).contains(&at))
}

fn is_config(config: hv_gic_config_t) -> bool {
    ptr::eq(config.cast(), &raw const CONFIG)
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_gic_create(config: hv_gic_config_t) -> hv_return_t {
    call("hv_gic_create", &[], |state| {
        check(state.vm, HV_NO_DEVICE)?;
        check(!state.gic, HV_BUSY)?;
        check(state.vcpus.is_empty(), HV_ERROR)?;
        check(is_config(config), HV_BAD_ARGUMENT)?;
        state.gic = true;
        Ok(())
    })
}

/// # Safety
/// Both pointers are good for writing, or null.
// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
unsafe extern "C" fn hv_gic_get_spi_interrupt_range(first: *mut u32, count: *mut u32) -> hv_return_t {
    call("hv_gic_get_spi_interrupt_range", &[], |state| {
        check(state.gic, HV_NO_DEVICE)?;
        check(!first.is_null() && !count.is_null(), HV_BAD_ARGUMENT)?;
        // SAFETY: the caller vouches for the pointers.
        unsafe { (*first, *count) = (SPIS.start, SPIS.len() as u32) };
        Ok(())
    })
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_gic_set_spi(number: u32, level: bool) -> hv_return_t {
    call("hv_gic_set_spi", &[number.into(), level.into()], |state| {
        check(state.gic, HV_NO_DEVICE)?;
        check(SPIS.contains(&number) && !MSIS.contains(&number), HV_BAD_ARGUMENT)?;
        let spi = state.spis.entry(number).or_default();
        spi.high = level;
        spi.edges += u64::from(level);
        Ok(())
    })
}
