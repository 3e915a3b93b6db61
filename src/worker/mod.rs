//! The thread that drives an engine, and the slot it is started from.
//!
//! ```text
//! RxWorkerSlot --driver_ok--> worker: poll -> Idle    -> FrameSource::wait
//!      |                                  -> Starved -> FrameSource::starved, sleeps on the bell
//!      +--kick, stop--> bell              -> More    -> poll
//! ```
//!
//! A VMM deposits the parts in a [`RxWorkerSlot`] while it builds its device; when the driver sets `DRIVER_OK` the slot
//! turns them into a running worker, exactly once, and [`stop`](RxWorkerSlot::stop) turns the worker into parts again.

mod bell;
mod error;
mod slot;
mod thread;

pub(crate) use bell::Bell;
pub use error::{Part, SlotError};
pub use slot::{RxConfig, RxWorkerSlot, Stopped};
pub use thread::{End, Report};
