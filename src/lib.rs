//! netrx puts Ethernet frames into virtual machines.
pub mod engine;
pub mod hypervisor;
pub mod irq;
pub mod mem;
pub mod ring;
pub mod source;
pub mod space;
pub mod spec;
mod sync;
pub mod worker;

pub use engine::{Engine, EngineConfig, EngineError, Progress};
pub use hypervisor::{Hypervisor, HypervisorError, IrqId};
pub use irq::{IrqError, IrqLine};
pub use mem::{Gpa, GuestMemory};
pub use source::{FrameSource, Received, SourceError};
pub use space::{DropReason, Placed, RxSpace};
pub use spec::{Features, FrameMeta};
pub use worker::{RxConfig, RxWorkerSlot};
