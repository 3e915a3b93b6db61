//! A stand-in for the Hypervisor framework, so that what calls it runs where there is none.
//!
//! It exports the framework's symbols and does what its headers say: it checks alignment, ranges, numbers and threads,
//! keeps a GIC's SPIs, and runs vCPUs whose guest is a closure (see `guest`). Beyond that it writes down each call, and
//! lets calls fail as a test plans it. Where the headers name no code for a mistake, it takes one of its own choice.
//!
//! As the framework does, it has one VM for the whole process: whoever uses it holds the [`Framework`], one at a time.

#![allow(dead_code, reason = "each program uses its part")]

pub(crate) mod gic;
mod guest;
mod state;
mod vcpu;
mod vm;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use guest::{Cpu, Off};
pub(crate) use state::{Call, Spi};

use state::{changed, lock, wait};

static USED: Mutex<()> = Mutex::new(());

/// The stand-in, for one user at a time; a new one has no VM and remembers nothing.
pub(crate) struct Framework(MutexGuard<'static, ()>);

impl Framework {
    /// Without a VM.
    pub(crate) fn bare() -> Self {
        let alone = USED.lock().unwrap_or_else(PoisonError::into_inner);
        *lock() = state::State::default();
        vm::set_page(0);
        Self(alone)
    }

    /// With a VM and a GIC.
    pub(crate) fn new() -> Self {
        let framework = Self::bare();
        let mut state = lock();
        (state.vm, state.gic) = (true, true);
        drop(state);
        framework
    }

    /// Lets the system's pages have that many bytes, whatever the host's have, as long as this lives.
    pub(crate) fn set_page(&self, bytes: usize) {
        vm::set_page(bytes);
    }

    /// Lets the next `times` calls of that name fail with that code.
    pub(crate) fn fail(&self, name: &'static str, code: u32, times: usize) {
        let planned = VecDeque::from(vec![code.cast_signed(); times]);
        lock().faults.insert(name, planned);
    }

    /// The calls so far, in their order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        lock().calls.clone()
    }

    /// How often a call was made.
    pub(crate) fn count(&self, name: &str) -> usize {
        lock().calls.iter().filter(|call| call.name == name).count()
    }

    /// What the guest sees: where it begins, and how long it is.
    pub(crate) fn mapped(&self) -> Vec<(u64, usize)> {
        lock().maps.iter().map(|(start, len)| (*start, *len)).collect()
    }

    /// An interrupt's state.
    pub(crate) fn spi(&self, number: u32) -> Spi {
        lock().spi(number)
    }

    /// Sleeps until an interrupt had more than `seen` edges; how many it had.
    pub(crate) fn wait_edges(&self, number: u32, seen: u64, at_most: Duration) -> u64 {
        let until = Instant::now() + at_most;
        let mut state = lock();
        while state.spi(number).edges <= seen && Instant::now() < until {
            state = wait(state, Some(until));
        }
        state.spi(number).edges
    }

    /// Sleeps until a vCPU is in the guest; whether it is.
    pub(crate) fn wait_inside(&self, vcpu: u64, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let is_inside = |state: &state::State| state.vcpus.get(&vcpu).is_some_and(|vcpu| vcpu.inside);
        let mut state = lock();
        while !is_inside(&state) && Instant::now() < until {
            state = wait(state, Some(until));
        }
        is_inside(&state)
    }

    /// The guest of the next vCPU that is created: a program, on a thread of its own.
    pub(crate) fn boot(&self, guest: impl FnOnce(&Cpu) -> Result<(), Off> + Send + 'static) {
        lock().guests.push_back(Box::new(guest));
    }
}

impl Drop for Framework {
    fn drop(&mut self) {
        *lock() = state::State::default();
        vm::set_page(0);
        changed();
    }
}
