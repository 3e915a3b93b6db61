//! What every implementation of a boundary trait has to pass, given a closure that makes one.
//!
//! Each suite asserts, so a backend's test is a call of it:
//!
//! ```
//! use netrx::Gpa;
//! use netrx_mock::{MockMemory, conformance};
//!
//! conformance::memory(|| {
//!     let memory = MockMemory::heap(&[4096, 8192]);
//!     let regions = memory.regions().to_vec();
//!     (memory, regions)
//! });
//! ```
//!
//! A frame source has one of three: [`source`] if it is fed its frames, [`waiting_source`] if it makes them, [`finite_source`]
//! if it has them all from the start. Beside that are [`watched_source`] and [`closing_source`], for those that can; a part of
//! the former is [`watched_events`].

mod closing;
mod events;
mod finite;
mod hypervisor;
mod irq;
mod level;
mod memory;
mod source;
mod watched;

pub use closing::closing_source;
pub use events::{Event, Events};
pub use finite::finite_source;
pub use hypervisor::hypervisor;
pub use irq::irq;
pub use level::level;
pub use memory::memory;
pub use source::{Feeder, source, waiting_source};
pub use watched::{watched_events, watched_source};
