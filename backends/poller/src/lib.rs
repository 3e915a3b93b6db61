//! Waiting with kqueue, for the sources that read from descriptors.
//!
//! ```text
//! descriptors --watch--> Poller --wait, collect--> Event: which one, by its name
//!                          |
//! waker -------rings-------+  its bell, which is not told of: it ends a wait
//! ```
//!
//! 1. `Poller::new` makes a kernel queue, with a bell in it that `Poller::waker` rings from any thread.
//! 2. `Poller::watch` puts a descriptor into it, under a name of the caller's. `Trigger` says when it is told of: as long
//!    as it is readable, or each time that more has come.
//! 3. `Poller::wait` sleeps until there is something to tell of, the bell was rung, a signal came, or a time;
//!    `Poller::collect` does not sleep. Either silences the bell.
//! 4. `Poller::hush` leaves a descriptor alone until `Poller::listen`; `Poller::forget` takes it out.
//!
//! # Platforms
//! macOS and the BSDs. With the feature `libkqueue` Linux too, by the library of that name, so that the code for those
//! systems can be tested there: the descriptor of its queues is never readable, so nothing else can be waited for together
//! with them. Without the feature, and on other systems, this crate is empty.
//!
//! It is below the backends that wait by it, and depends on nothing of netrx.

#[cfg(supported)]
mod bell;
#[cfg(supported)]
mod poller;
#[cfg(supported)]
mod sys;

#[cfg(supported)]
pub use poller::{Event, Poller, Trigger};
