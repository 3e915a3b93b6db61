//! The words two sides share, and the primitives that order them.
//!
//! Everything that another thread (the guest's vCPU, a kicker, a stopper) can see at the same time goes through this
//! file, so that the model checker can stand in for it: built with `--cfg loom`, atomics, fences and parking come from
//! `loom`, and a word of guest memory is backed by a loom atomic of the same address. In every other build the
//! functions are the plain atomic instructions.

#![allow(unsafe_code, reason = "turns an address inside a live guest mapping into an atomic access")]

#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicU32, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicU32, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

/// Lets some time pass. The model checker has none, but others get their turn.
pub(crate) fn pause(time: std::time::Duration) {
    #[cfg(not(loom))]
    thread::sleep(time);
    #[cfg(loom)]
    {
        let _ = time;
        thread::yield_now();
    }
}

/// An unsigned integer of guest memory that is loaded and stored whole.
pub trait Word: Copy + sealed::Sealed {
    /// Loads the word once, with the given order.
    ///
    /// # Safety
    /// `at` is aligned for the type and points into memory that stays mapped, readable and writable, for the call.
    #[doc(hidden)]
    unsafe fn load(at: *mut Self, order: Ordering) -> Self;

    /// Stores the word once, with the given order.
    ///
    /// # Safety
    /// As for [`Word::load`].
    #[doc(hidden)]
    unsafe fn store(at: *mut Self, value: Self, order: Ordering);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

macro_rules! word {
    ($int:ty, $atomic:ident) => {
        impl Word for $int {
            #[cfg(not(loom))]
            #[inline(always)]
            unsafe fn load(at: *mut Self, order: Ordering) -> Self {
                // SAFETY: the caller vouches for alignment and mapping; the guest is outside of the program.
                let word = unsafe { std::sync::atomic::$atomic::from_ptr(at) };
                <$int>::from_le(word.load(order))
            }

            #[cfg(not(loom))]
            #[inline(always)]
            unsafe fn store(at: *mut Self, value: Self, order: Ordering) {
                // SAFETY: as for `load`.
                let word = unsafe { std::sync::atomic::$atomic::from_ptr(at) };
                word.store(value.to_le(), order);
            }

            #[cfg(loom)]
            unsafe fn load(at: *mut Self, order: Ordering) -> Self {
                // SAFETY: the caller vouches for alignment and mapping.
                let now = || <$int>::from_le(unsafe { at.read_volatile() }).into();
                modelled::word(at as usize, size_of::<$int>(), now).load(order) as $int
            }

            #[cfg(loom)]
            unsafe fn store(at: *mut Self, value: Self, order: Ordering) {
                // SAFETY: the caller vouches for alignment and mapping.
                let now = || <$int>::from_le(unsafe { at.read_volatile() }).into();
                modelled::word(at as usize, size_of::<$int>(), now).store(value.into(), order);
            }
        }
    };
}

word!(u16, AtomicU16);
word!(u32, AtomicU32);
word!(u64, AtomicU64);

/// Guest words under the model checker: one loom atomic for each address, made at its first use in an execution.
///
/// Nothing is written through to the memory, so both sides must access a word at the same address and size.
#[cfg(loom)]
mod modelled {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use loom::sync::atomic::AtomicU64;

    type Words = HashMap<usize, (usize, Arc<AtomicU64>)>;

    loom::lazy_static! {
        static ref WORDS: Mutex<Words> = Mutex::new(Words::new());
    }

    pub(super) fn word(at: usize, size: usize, now: impl FnOnce() -> u64) -> Arc<AtomicU64> {
        let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, word) = words.entry(at).or_insert_with(|| (size, Arc::new(AtomicU64::new(now()))));
        assert_eq!(*made, size, "a modelled word is accessed at one size only");
        Arc::clone(word)
    }
}
