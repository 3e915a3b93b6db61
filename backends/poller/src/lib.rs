//! Waiting with epoll or kqueue, for the sources that read from descriptors.
//!
//! ```text
//! descriptors --watch--> Poller --wait, collect--> Event: which one, by its name
//!                          |
//! waker -------rings-------+  its bell, which is not told of: it ends a wait
//! ```
//!
//! 1. `Poller::new` makes a queue of the system's, with a bell in it that `Poller::waker` rings from any thread. `Trigger`
//!    says when descriptors are told of: as long as they are readable, or each time that more has come.
//! 2. `Poller::watch` puts a descriptor into it, under a name of the caller's.
//! 3. `Poller::wait` sleeps until there is something to tell of, the bell was rung, a signal came, or a time;
//!    `Poller::collect` does not sleep. Either silences the bell.
//! 4. `Poller::hush` leaves a descriptor alone until `Poller::listen`; `Poller::forget` takes it out.
//!
//! It is below the backends that wait by it, and depends on nothing of netrx.
//!
//! # Platforms
//! | | Linux | macOS and the BSDs |
//! | --- | --- | --- |
//! | what waits | epoll | kqueue |
//! | the bell | an eventfd | an event of the queue's own; on OpenBSD and NetBSD a pair of sockets |
//! | descriptors of its own | two | one; on OpenBSD and NetBSD three |
//! | what an event says of reads that come short | what comes after it | always that they may |
//! | a descriptor that is hushed | tells of a hang-up or an error all the same, once | tells of nothing |
//!
//! With the feature `libkqueue`, Linux waits with kqueue by the library of that name, so that the code for those systems can
//! be tested there. It cuts times to milliseconds, and the descriptor of its queues is never readable, so nothing else can be
//! waited for together with them. On other systems this crate is empty.

#[cfg(supported)]
mod bell;
#[cfg(supported)]
mod poller;
#[cfg(supported)]
mod sys;

#[cfg(supported)]
pub use poller::{Event, Poller, Trigger};
