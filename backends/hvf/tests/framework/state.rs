//! What the stand-in remembers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Instant;

use applevisor_sys::{hv_error_t, hv_return_t};

use super::guest::{Program, Trap};

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);
static CHANGED: Condvar = Condvar::new();

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<u64>,
    pub(crate) returned: hv_return_t,
}

/// An interrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spi {
    pub(crate) high: bool,
    /// How often it was set high.
    pub(crate) edges: u64,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) vm: bool,
    pub(crate) gic: bool,
    /// Where the guest finds the GIC's redistributors.
    pub(crate) redistributors: Option<u64>,
    pub(crate) spis: HashMap<u32, Spi>,
    /// What the guest sees: where it begins, and its length.
    pub(crate) maps: BTreeMap<u64, usize>,
    pub(crate) vcpus: BTreeMap<u64, Vcpu>,
    pub(crate) next_vcpu: u64,
    pub(crate) guests: VecDeque<Program>,
    pub(crate) calls: Vec<Call>,
    pub(crate) faults: HashMap<&'static str, VecDeque<hv_return_t>>,
}

pub(crate) struct Vcpu {
    pub(crate) owner: ThreadId,
    /// Where `hv_vcpu_run` says why it returned.
    pub(crate) exit: usize,
    pub(crate) inside: bool,
    /// It was made to exit, and has not returned for that.
    pub(crate) cancelled: bool,
    pub(crate) registers: [u64; 64],
    /// By which the GIC finds it.
    pub(crate) affinity: Option<u64>,
    /// What the guest waits for the VMM to do.
    pub(crate) trap: Option<Trap>,
    /// The VMM was told of the trap.
    pub(crate) told: bool,
    pub(crate) guest: Option<JoinHandle<()>>,
}

impl State {
    pub(crate) fn spi(&self, number: u32) -> Spi {
        self.spis.get(&number).copied().unwrap_or_default()
    }
}

/// The state, while nobody else has it.
pub(crate) type Locked = MutexGuard<'static, State>;

pub(crate) fn lock() -> Locked {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps until something changes, or until then.
pub(crate) fn wait(state: Locked, until: Option<Instant>) -> Locked {
    match until {
        None => CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner),
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            CHANGED.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// Tells whoever waits.
pub(crate) fn changed() {
    CHANGED.notify_all();
}

/// Why a call fails.
pub(crate) type Refused = Result<(), hv_error_t>;

/// What a test planned for the next call of that name.
pub(crate) fn planned(state: &mut State, name: &str) -> Option<hv_return_t> {
    state.faults.get_mut(name)?.pop_front()
}

/// Carries a call out, unless a test planned otherwise, and writes it down.
pub(crate) fn call(
    name: &'static str,
    args: &[u64],
    body: impl FnOnce(&mut State) -> Refused,
) -> hv_return_t {
    let mut state = lock();
    let returned = planned(&mut state, name).unwrap_or_else(|| number(body(&mut state)));
    state.calls.push(Call { name, args: args.to_vec(), returned });
    drop(state);
    changed();
    returned
}

pub(crate) fn number(done: Refused) -> hv_return_t {
    let code = done.err().unwrap_or(hv_error_t::HV_SUCCESS);
    (code as u32).cast_signed()
}

/// An error unless a condition holds.
pub(crate) fn check(holds: bool, otherwise: hv_error_t) -> Refused {
    if holds { Ok(()) } else { Err(otherwise) }
}
