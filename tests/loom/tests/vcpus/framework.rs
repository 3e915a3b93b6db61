//! The Hypervisor framework, as far as the registry calls it, for one vCPU: it is in the guest until it is made to exit,
//! and an exit that finds it outside is kept for the next run.

#![allow(unsafe_code, reason = "exports the framework's symbol")]

use std::sync::PoisonError;

use loom::sync::{Condvar, Mutex, MutexGuard};

/// `HV_BAD_ARGUMENT`.
const BAD_ARGUMENT: i32 = 0xfae9_4003_u32.cast_signed();

loom::lazy_static! {
    static ref MACHINE: Machine = Machine { state: Mutex::new(State::default()), changed: Condvar::new() };
}

/// The machine of one execution.
pub(crate) struct Machine {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    destroyed: bool,
    refusing: bool,
    runs: u32,
    asked: u32,
}

impl Machine {
    /// `hv_vcpu_run` of a guest that never comes out by itself.
    pub(crate) fn run() {
        let mut state = lock();
        state.runs += 1;
        while !state.cancelled {
            state = MACHINE.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.cancelled = false;
    }

    /// `hv_vcpu_destroy`.
    pub(crate) fn destroy() {
        lock().destroyed = true;
    }

    /// From now on nobody is made to exit.
    pub(crate) fn refuse() {
        lock().refusing = true;
    }

    /// How often the vCPU ran.
    pub(crate) fn runs() -> u32 {
        lock().runs
    }

    /// How often it was made to exit.
    pub(crate) fn asked() -> u32 {
        lock().asked
    }
}

fn lock() -> MutexGuard<'static, State> {
    MACHINE.state.lock().unwrap_or_else(PoisonError::into_inner)
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpus_exit(_vcpus: *const u64, _count: u32) -> i32 {
    let mut state = lock();
    // Unwinding out of here would end the process, and so fail the model.
    assert!(!state.destroyed, "a vCPU that is gone is asked to exit");
    if state.refusing {
        return BAD_ARGUMENT;
    }
    state.asked += 1;
    state.cancelled = true;
    drop(state);
    MACHINE.changed.notify_one();
    0
}
