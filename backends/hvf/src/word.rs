//! Where a vCPU is, and whether it is asked to come out: one word for each, changed only whole.
//!
//! ```text
//!                 request: hv_vcpus_exit               request: nothing                request: unpark
//!   INSIDE ------------------------------+       0 -------------------+       ASLEEP ------------------+
//!   ^    \ leave                         |       ^                    |       ^    \ rouse             |
//!   |     \-> 0                          v       |                    v       |     \-> 0              v
//!   | enter                INSIDE|REQUESTED      | enter: refused  REQUESTED  | doze         ASLEEP|REQUESTED
//!   0                                 \ leave    +--------------------+       0                      \ rouse
//!                                      \-> REQUESTED                                                  \-> REQUESTED
//! ```
//!
//! * Whatever `REQUESTED` is set on, a second request changes nothing: it is merged.
//! * Only the vCPU's thread takes a request, when it is about to enter. What the request was for was written before it, so
//!   the thread sees that when it looks, after taking it.
//! * A request that finds the vCPU inside is followed by `hv_vcpus_exit`. If the vCPU has left the guest meanwhile, the
//!   framework keeps that exit: the header says of a vCPU that does not run that its next `hv_vcpu_run` returns at once. That
//!   costs one run that is cancelled for nothing. One that is before `hv_vcpu_run`, but was not refused, is inside already:
//!   for it the same rule is what saves the request.

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
