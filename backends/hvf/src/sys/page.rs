//! The system's page size.

#![allow(unsafe_code, reason = "asks the system for a number")]

use std::ffi::c_int;

// SAFETY: the C library's function, with its signature; it only returns a number.
unsafe extern "C" {
    safe fn getpagesize() -> c_int;
}

/// The system's page size in bytes: nothing here knows it otherwise. The tests' stand-in answers in the system's place.
pub(super) fn page_size() -> usize {
    getpagesize() as usize
}
