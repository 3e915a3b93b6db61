//! kqueue on Linux, by the library libkqueue. Names and shapes are those of the crate `kqueue-sys`, so that the code
//! above this is the same for both.

#![allow(unsafe_code, reason = "declarations of a C library")]
#![allow(non_camel_case_types, non_snake_case, reason = "the names of the C library")]

use std::ops::BitOr;
use std::sync::{Mutex, PoisonError};

use libc::{c_int, c_short, c_uint, c_ushort, c_void, intptr_t, timespec, uintptr_t};

/// The type of an event list's length.
pub(crate) type EventListSize = c_int;

/// An event, or what is to be changed about one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct kevent {
    pub(crate) ident: uintptr_t,
    pub(crate) filter: EventFilter,
    pub(crate) flags: EventFlag,
    pub(crate) fflags: FilterFlag,
    pub(crate) data: intptr_t,
    pub(crate) udata: *mut c_void,
}

impl kevent {
    pub(crate) fn new(ident: uintptr_t, filter: EventFilter, flags: EventFlag, fflags: FilterFlag) -> Self {
        Self { ident, filter, flags, fflags, data: 0, udata: std::ptr::null_mut() }
    }
}

/// What kind of event it is.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFilter(c_short);

impl EventFilter {
    pub(crate) const EVFILT_READ: Self = Self(-1);
    pub(crate) const EVFILT_USER: Self = Self(-11);
}

/// What is to be done with an event, and what became of it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFlag(c_ushort);

impl EventFlag {
    pub(crate) const EV_ADD: Self = Self(0x0001);
    pub(crate) const EV_DELETE: Self = Self(0x0002);
    pub(crate) const EV_ENABLE: Self = Self(0x0004);
    pub(crate) const EV_DISABLE: Self = Self(0x0008);
    pub(crate) const EV_CLEAR: Self = Self(0x0020);
    pub(crate) const EV_EOF: Self = Self(0x8000);

    pub(crate) const fn empty() -> Self {
        Self(0)
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for EventFlag {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is particular to the kind of event.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilterFlag(c_uint);

impl FilterFlag {
    pub(crate) const fn empty() -> Self {
        Self(0)
    }

    pub(crate) const fn from_bits_retain(bits: c_uint) -> Self {
        Self(bits)
    }
}

// SAFETY: as the header of libkqueue 2.3 declares them.
#[link(name = "kqueue")]
unsafe extern "C" {
    #[link_name = "kqueue"]
    fn make_kqueue() -> c_int;

    pub(crate) fn kevent(
        kq: c_int,
        changelist: *const kevent,
        nchanges: EventListSize,
        eventlist: *mut kevent,
        nevents: EventListSize,
        timeout: *const timespec,
    ) -> c_int;
}

/// Makes a queue.
///
/// One at a time: two threads that make the first ones at once deadlock in version 2.3.1 of the library, whose start-up
/// waits for a thread that needs a lock which the second one holds.
///
/// # Safety
/// None is needed. It is `unsafe` as it is elsewhere.
pub(crate) unsafe fn kqueue() -> c_int {
    static FIRST: Mutex<()> = Mutex::new(());
    let _one_at_a_time = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes no pointer.
    unsafe { make_kqueue() }
}
