//! Making vCPUs leave the guest, only when they are in it and only once.
//!
//! ```text
//! any thread: exit --> the vCPU's word --in the guest--> hv_vcpus_exit --+
//!                           |  |  \------asleep------> unpark -----------+
//!                           |  \---------elsewhere---> nothing           v
//! its thread:               +-------------------------------> run --> Requested
//! ```
//!
//! `hv_vcpus_exit` is called with the registry locked, and a vCPU leaves the registry under the same lock. So it is never
//! called for a vCPU that has left, which its thread may then destroy.

use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::sync::{self, Mutex, MutexGuard, Thread};
use crate::word::{Needs, Word};
use crate::{HvCode, HvfError, sys};

/// The vCPUs that may be in the guest. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Vcpus(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    joined: Vec<Arc<Vcpu>>,
    /// Those that `hv_vcpus_exit` is to be called for; kept for its room.
    inside: Vec<u64>,
}

#[derive(Debug)]
struct Vcpu {
    /// The framework's number of it.
    id: u64,
    word: Word,
    thread: Thread,
}

impl Default for Vcpus {
    fn default() -> Self {
        Self::new()
    }
}

impl Vcpus {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Registry::default())))
    }

    /// Enters the vCPU with that `hv_vcpu_t`, which the calling thread has created and is about to run.
    ///
    /// The guard must be dropped before the vCPU is destroyed.
    ///
    /// # Errors
    /// When it has joined already.
    pub fn join(&self, vcpu: u64) -> Result<JoinedVcpu, HvfError> {
        let mut registry = lock(&self.0);
        if registry.joined.iter().any(|other| other.id == vcpu) {
            return Err(HvfError::Joined(vcpu));
        }
        let vcpu = Arc::new(Vcpu { id: vcpu, word: Word::new(), thread: sync::current() });
        registry.joined.push(Arc::clone(&vcpu));
        Ok(JoinedVcpu { registry: self.clone(), vcpu, own_thread: PhantomData })
    }

    /// Makes every vCPU that joined come out of the guest, or out of its [sleep](JoinedVcpu::sleep): its next
    /// [`run`](JoinedVcpu::run) is [`Ran::Requested`]. Does not wait for that. From any thread, a vCPU's too.
    ///
    /// The framework is called once, for the vCPUs that are in the guest and have not been asked since they entered it; if
    /// there are none, not at all.
    ///
    /// # Errors
    /// The first vCPU that is still in the guest, and that the framework refused; the others were asked all the same.
    pub fn exit(&self) -> Result<(), HvfError> {
        let registry = &mut *lock(&self.0);
        registry.inside.clear();
        for vcpu in &registry.joined {
            match vcpu.word.request() {
                Needs::Nothing => {}
                Needs::Exit => registry.inside.push(vcpu.id),
                Needs::Unpark => vcpu.thread.unpark(),
            }
        }
        if registry.inside.is_empty() || sys::exit(&registry.inside).is_ok() {
            return Ok(());
        }
        registry.exit_one_by_one()
    }

    /// How many vCPUs have joined.
    #[must_use]
    pub fn joined(&self) -> usize {
        lock(&self.0).joined.len()
    }
}

impl Registry {
    /// Once more, so that one that is refused does not keep the others in.
    fn exit_one_by_one(&self) -> Result<(), HvfError> {
        let asked = self.joined.iter().filter(|vcpu| self.inside.contains(&vcpu.id));
        asked.map(|vcpu| vcpu.exit()).fold(Ok(()), Result::and)
    }
}

impl Vcpu {
    fn exit(&self) -> Result<(), HvfError> {
        let refused = |code: HvCode| HvfError::Exit { vcpu: self.id, code };
        match sys::exit(&[self.id]) {
            Err(code) if self.word.withdraw() => Err(refused(code)),
            _ => Ok(()),
        }
    }
}

/// What came of a [`JoinedVcpu::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ran<T> {
    /// The vCPU was in the guest, and this is what the closure returned. If it is `HV_EXIT_REASON_CANCELED`, there is
    /// nothing to do: the request, if there still is one, ends the next run.
    Exited(T),
    /// An exit was requested since this was last returned; the guest was not entered. Look at what it may be for (a flag to
    /// stop, say), and run again.
    Requested,
}

/// A vCPU that has joined, until this is dropped. It belongs to the thread that joined, as the vCPU does.
#[derive(Debug)]
#[must_use = "dropping it takes the vCPU out of the registry"]
pub struct JoinedVcpu {
    registry: Vcpus,
    vcpu: Arc<Vcpu>,
    own_thread: PhantomData<*const ()>,
}

impl JoinedVcpu {
    /// Calls `guest`, which calls `hv_vcpu_run` once, unless an exit was requested.
    ///
    /// Requests that come before or during `guest` are never lost: they are returned by the next call at the latest, and
    /// cancel the `hv_vcpu_run` of this one. All of them together are returned once.
    pub fn run<T>(&mut self, guest: impl FnOnce() -> T) -> Ran<T> {
        if !self.vcpu.word.enter() {
            return Ran::Requested;
        }
        let _inside = Leaving(&self.vcpu.word);
        Ran::Exited(guest())
    }

    /// Sleeps until an exit is requested, which the next [`run`](Self::run) returns, or until `until`: for a VMM that serves
    /// the guest's WFI itself, with the time of its next timer.
    ///
    /// A request that was returned already is not waited for again: look first whether an interrupt is pending.
    pub fn sleep(&mut self, until: Option<Instant>) {
        let word = &self.vcpu.word;
        if word.doze() {
            while !word.is_requested() && sync::park(until) {}
            word.rouse();
        }
    }
}

impl Drop for JoinedVcpu {
    fn drop(&mut self) {
        lock(&self.registry.0).joined.retain(|other| !Arc::ptr_eq(other, &self.vcpu));
    }
}

/// Leaves the guest, however the closure ends.
struct Leaving<'w>(&'w Word);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
