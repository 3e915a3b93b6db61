//! A mock of everything around the receive engine, so that the whole injection path runs without a hypervisor.
//!
//! * [`MockHypervisor`], [`MockMemory`], [`MockIrq`], [`MockLevel`]: a machine on the heap, whose interrupts are recorded
//!   and can fail.
//! * [`ScriptedSource`], [`from_fn`], [`Faults`]: frames by script or by closure, and trouble by seed.
//! * [`FakeDriver`]: the guest's side of a receive ring. It posts buffers of any shape, checks all that comes back, and
//!   can turn [hostile](FakeDriver::hostile). [`GuestThread`] runs one as a guest would, [`Rig`] is one behind an engine that a
//!   test turns by hand.
//! * [`registers`]: what that driver writes where its card is on virtio-mmio.
//! * [`events`]: what is told by `tracing`.
//! * [`conformance`]: what each implementation of a boundary trait has to pass.
//! * [`traffic`]: numbered frames that can be told from each other and from garbage.
//!
//! ```
//! use netrx::{Engine, EngineConfig, Features, Progress};
//! use netrx::ring::SplitRing;
//! use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, ScriptedSource, Shape};
//!
//! let memory = MockMemory::heap(&[1 << 20]);
//! let mut driver = FakeDriver::new(&memory, DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))?;
//! driver.post(16);
//!
//! let ring = SplitRing::new(driver.ring_config(), driver.features(), &memory)?;
//! let (irq, interrupts) = MockIrq::new();
//! let mut engine = Engine::new(ring, memory, irq, EngineConfig::default());
//! let (mut source, script) = ScriptedSource::new();
//! script.frame(b"to the guest, from its host: hi");
//!
//! assert_eq!(engine.poll(&mut source, std::time::Instant::now())?, Progress::Idle);
//! let frames = driver.drain_frames()?;
//! assert_eq!(frames, [b"to the guest, from its host: hi"]);
//! assert_eq!(interrupts.raised(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(clippy::panic, reason = "panics where a script tells it to, and where a suite cannot go on")]

pub mod conformance;
mod driver;
pub mod events;
mod faults;
mod function;
mod guest;
mod hypervisor;
mod irq;
mod level;
mod memory;
mod patience;
pub mod registers;
mod rig;
mod scripted;
mod sys;
pub mod traffic;

pub use driver::{DriverConfig, DriverError, FakeDriver, Hostile, Posted, Shape, Taken, Violation};
pub use faults::Faults;
pub use function::{FromFn, from_fn};
pub use guest::{GuestReport, GuestThread, Refill, Rest};
pub use hypervisor::MockHypervisor;
pub use irq::{IrqFault, IrqProbe, MockIrq};
pub use level::{LevelProbe, MockLevel};
pub use memory::{MockMemory, Trespass};
pub use patience::eventually;
pub use rig::{Rig, RigError};
pub use scripted::{Placing, Script, ScriptedSource};
