//! What orders the registry and the vCPUs' threads, from `std` or, with `--cfg loom`, from the model checker.

use std::time::Instant;

#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicU32, Ordering},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current},
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicU32, Ordering},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current},
};

/// Sleeps until unparked, or until then, or for no reason; `false` when the time has come.
#[cfg(not(loom))]
pub(crate) fn park(until: Option<Instant>) -> bool {
    let Some(until) = until else {
        std::thread::park();
        return true;
    };
    let left = until.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::park_timeout(left);
    }
    !left.is_zero()
}

/// The model has no time: it sleeps until unparked.
#[cfg(loom)]
pub(crate) fn park(_until: Option<Instant>) -> bool {
    loom::thread::park();
    true
}
