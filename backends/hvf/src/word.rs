//! Where a vCPU is, and whether it is asked to come out: one word for each, changed only whole.
//!
//! | the word | request | the vCPU's thread |
//! | --- | --- | --- |
//! | `0` | sets `REQUESTED`, no more | enters: `INSIDE`, or dozes: `ASLEEP` |
//! | `INSIDE` | sets `REQUESTED`, then `hv_vcpus_exit` | leaves: `0` |
//! | `ASLEEP` | sets `REQUESTED`, then unparks | rouses: `0` |
//! | `REQUESTED` | merged | is refused entry: `0` |
//! | `INSIDE`, `REQUESTED` | merged | leaves: `REQUESTED` |
//! | `ASLEEP`, `REQUESTED` | merged | rouses: `REQUESTED` |
//!
//! * Only the vCPU's thread takes a request, by being refused entry. What the request is for was written before it, so the
//!   thread sees that when it looks, after taking it.
//! * A vCPU that is about to call `hv_vcpu_run` is inside already. The framework's header says of one that does not run that,
//!   after `hv_vcpus_exit`, its next `hv_vcpu_run` returns at once without entering the guest: so the call is never too early.
//! * It can be too late, when the vCPU has come out by itself meanwhile. The framework keeps it, and cancels one later run for
//!   nothing; the request itself was taken by the entry before that.

use crate::sync::{AtomicU32, Ordering};

/// In `hv_vcpu_run`, or about to be.
const INSIDE: u32 = 1;
/// Asked to come out, and not refused since.
const REQUESTED: u32 = 2;
/// Its thread sleeps, or is about to.
const ASLEEP: u32 = 4;

/// The state of one vCPU. Its thread enters, leaves, dozes and rouses; any thread requests.
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

/// What a request needs beside the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it was requested before, or its next entry is refused.
    Nothing,
    /// `hv_vcpus_exit`.
    Exit,
    /// To be unparked.
    Unpark,
}

impl Word {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Asks it to come out.
    pub(crate) fn request(&self) -> Needs {
        match self.0.fetch_or(REQUESTED, Ordering::AcqRel) {
            INSIDE => Needs::Exit,
            ASLEEP => Needs::Unpark,
            _ => Needs::Nothing,
        }
    }

    /// Takes a request back that could not be carried out; `false` if the vCPU came out by itself, and will be refused.
    pub(crate) fn withdraw(&self) -> bool {
        let (asked, inside) = (INSIDE | REQUESTED, INSIDE);
        self.0.compare_exchange(asked, inside, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Before `hv_vcpu_run`; `false` if it is refused for a request, which is taken by that.
    pub(crate) fn enter(&self) -> bool {
        let entered = self.0.compare_exchange(0, INSIDE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !entered {
            self.0.swap(0, Ordering::AcqRel);
        }
        entered
    }

    /// After `hv_vcpu_run`. A request stays, for the next entry.
    pub(crate) fn leave(&self) {
        self.0.fetch_and(!INSIDE, Ordering::AcqRel);
    }

    /// Before sleeping; `false` if there is a request, which stays for the next entry.
    pub(crate) fn doze(&self) -> bool {
        self.0.compare_exchange(0, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether there is a request.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire) & REQUESTED != 0
    }

    /// After sleeping.
    pub(crate) fn rouse(&self) {
        self.0.fetch_and(!ASLEEP, Ordering::AcqRel);
    }
}
