//! What netrx is compared with.
//!
//! * [`Device`]: a receive device written to be read, not to be fast. It runs over a [`Queue`], of which there are two:
//!   [`NaiveQueue`], straight from the specification, and (where it builds) `RustVmm`, by the crate `virtio-queue`.
//! * [`Duel`]: netrx's engine beside any number of such devices, each with a copy of the guest's memory. After every
//!   turn all must have done the same, byte for byte.
//! * [`Stage`]: a duel in front of a fake driver that keeps the rules, played by a script of [`Op`]s.
//! * [`threads`]: whether a thread sleeps.
//! * [`targets`]: the bodies of the fuzz targets, which are duels by script of bytes, and their seeds.
//!
//! The property tests, the table of hostile guests and the fuzz targets share it.

mod device;
mod duel;
pub mod header;
mod image;
mod naive;
mod queue;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod rust_vmm;
mod stage;
pub mod targets;
pub mod threads;

pub use device::{Device, Ending, Fate, Frame, Manner, Turn};
pub use duel::{Duel, engine_config};
pub use image::Image;
pub use naive::NaiveQueue;
pub use queue::{Broken, Chain, Popped, Queue};
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use rust_vmm::{Error as RustVmmError, RustVmm};
pub use stage::{Error as StageError, Op, Setup, Stage};
