//! The VM and its memory.

#![allow(unsafe_code, reason = "exports symbols of the framework")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use applevisor_sys::hv_error_t::{HV_BAD_ARGUMENT, HV_BUSY, HV_ERROR, HV_NO_DEVICE};
use applevisor_sys::{hv_ipa_t, hv_memory_flags_t, hv_return_t, hv_vm_config_t};
use rustix::param::page_size;

use super::state::{call, check};

/// Bits of a guest's address.
const IPA_BITS: u32 = 36;
/// Read, write and execute.
const FLAGS: u64 = 7;

/// The page size that a test chose, or 0 for the host's own.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Lets pages have that many bytes, or with 0 as many as the host's.
pub(crate) fn set_page(bytes: usize) {
    PAGE.store(bytes, Ordering::Relaxed);
}

fn page() -> usize {
    match PAGE.load(Ordering::Relaxed) {
        0 => page_size(),
        chosen => chosen,
    }
}

// SAFETY: the C library's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn getpagesize() -> c_int {
    page() as c_int
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vm_create(_config: hv_vm_config_t) -> hv_return_t {
    call("hv_vm_create", &[], |state| {
        check(!state.vm, HV_BUSY)?;
        state.vm = true;
        Ok(())
    })
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vm_destroy() -> hv_return_t {
    call("hv_vm_destroy", &[], |state| {
        check(state.vm, HV_NO_DEVICE)?;
        check(state.vcpus.is_empty(), HV_BUSY)?;
        (state.vm, state.gic) = (false, false);
        state.maps.clear();
        Ok(())
    })
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vm_map(
    host: *const c_void,
    start: hv_ipa_t,
    len: usize,
    flags: hv_memory_flags_t,
) -> hv_return_t {
    call("hv_vm_map", &[host as u64, start, len as u64, flags], |state| {
        check(state.vm, HV_NO_DEVICE)?;
        let end = start.checked_add(len as u64).filter(|end| *end <= 1 << IPA_BITS).ok_or(HV_BAD_ARGUMENT)?;
        let page = page() as u64;
        let whole = [host as u64, start, len as u64].iter().all(|number| number.is_multiple_of(page));
        check(whole && len > 0 && !host.is_null() && flags & !FLAGS == 0, HV_BAD_ARGUMENT)?;
        let before = state.maps.range(..end).next_back();
        check(before.is_none_or(|(other, len)| other + *len as u64 <= start), HV_ERROR)?;
        state.maps.insert(start, len);
        Ok(())
    })
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vm_unmap(start: hv_ipa_t, len: usize) -> hv_return_t {
    call("hv_vm_unmap", &[start, len as u64], |state| {
        check(state.vm, HV_NO_DEVICE)?;
        check(state.maps.get(&start) == Some(&len), HV_BAD_ARGUMENT)?;
        state.maps.remove(&start);
        Ok(())
    })
}
