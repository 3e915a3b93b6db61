//! A virtio-net receive engine: puts Ethernet frames into virtual machines, whatever the hypervisor, the guest's memory,
//! the interrupt line and the source of the frames.
//!
//! # The way of a frame
//! ```text
//! FrameSource --recv--> RxSpace --put, lend--> guest buffers        GuestMemory
//!                          |                                             ^
//!                          +--reserve, commit, publish--> SplitRing -----+
//! Engine --notify? (moderation, EVENT_IDX or flags)--> IrqLine
//! guest's kick --> RxWorkerSlot::kick --> the worker looks again
//! ```
//!
//! 1. **reserve**: the [`ring`] pops chains that the guest made available. What is used of the guest's words was read
//!    once and checked; a chain that makes no sense is completed with length 0 and counted.
//! 2. **copy**: the [source](FrameSource) [`put`](RxSpace::put)s a frame it has, or has the kernel read into buffers it
//!    was [`lent`](RxSpace::lend). The header is made from the frame's [metadata](FrameMeta), as far as the driver
//!    acknowledged the features.
//! 3. **commit**: the filled chains are staged as used entries; what was popped and not needed serves the next frame.
//! 4. **publish**: one store shows the guest the whole batch.
//! 5. **notify**: at most one interrupt for it. A lone frame is interrupted for at once; batching comes from load.
//!
//! A frame leaves its source only when it fits into the guest: the source itself is the back-pressure, and nothing is
//! dropped unless the consumer chose a policy that drops.
//!
//! # The life of a queue
//! ```text
//! deposit_memory, deposit_irq, offer_source --> RxWorkerSlot --driver_ok--> worker --stop--> source, cursor, report
//! ```
//!
//! 1. The VMM deposits the parts in an [`RxWorkerSlot`], in any order, from any thread.
//! 2. The guest's driver sets `DRIVER_OK`: [`driver_ok`](RxWorkerSlot::driver_ok) validates the queue's registers,
//!    freezes the features, and starts the worker, exactly once.
//! 3. The worker polls the [`Engine`] and sleeps: in [`FrameSource::wait`] while there are no frames, on its bell while
//!    the guest has no room. A [`kick`](RxWorkerSlot::kick) ends the latter. Idle it does not wake at all.
//! 4. [`stop`](RxWorkerSlot::stop) joins it; from then on nothing writes to the guest.
//!    [`reset`](RxWorkerSlot::reset) does the same and keeps the parts for the next `driver_ok`.
//!
//! A guest that finds its card on virtio-mmio does the second and the last of these itself: a [`MmioDevice`] is the
//! registers in front of a slot.
//!
//! ```text
//! vCPU exits --read, write--> MmioDevice --DRIVER_OK--> slot and TxReader --0 to Status--> parts
//! ```
//!
//! Whoever has an event loop of its own drives an [`Engine`] directly: [`poll`](Engine::poll) is bounded, never blocks
//! and is told the time.
//!
//! # What it tells
//! Counters may be read while it runs ([`RxWorkerSlot::stats`], [`Engine::counters`]). They are a `tracing` event at a worker's
//! end, and whenever a consumer [asks for one](engine::Stats::trace). No event that a guest can bring about is above the level
//! `debug`, so that none can flood a log; what the host fails to do is an `error`, or is returned as one.
//!
//! # Where things are
//! | module | what it holds | may use |
//! | --- | --- | --- |
//! | [`spec`] | what virtio fixes: feature bits, the header, ring words | nothing |
//! | [`mem`] | guest addresses, slices, regions; an island of `unsafe` | nothing |
//! | [`ring`] | validation, chains, the split ring | `spec`, `mem` |
//! | [`space`] | the guest's room, as a source sees it | `ring` and below |
//! | [`source`], [`irq`], [`hypervisor`] | one boundary trait each | `space`, `mem` |
//! | [`engine`] | the turn, moderation, counters | all of the above |
//! | [`worker`] | the slot and its thread | `engine` |
//! | [`mmio`] | the card's registers, its interrupts, the transmit queue's reader handed out | `worker` and below |
//!
//! Backends are crates of their own: frames come by `netrx-channel`, `netrx-socketpair`, `netrx-tcp` and `netrx-pcap`, sources
//! go into those of `netrx-decorators`, `netrx-kvm` and `netrx-hvf` are hypervisors, and `netrx-mock` stands in for all of it.
//! Core knows none of them.

pub mod engine;
pub mod hypervisor;
pub mod irq;
pub mod mem;
pub mod mmio;
#[cfg(feature = "mockall")]
pub mod mocks;
pub mod ring;
pub mod source;
pub mod space;
pub mod spec;
mod sync;
pub mod worker;

pub use engine::{Engine, EngineConfig, EngineError, Progress};
pub use hypervisor::{Hypervisor, HypervisorError, IrqId};
pub use irq::{IrqError, IrqLine, LevelLine};
pub use mem::{Gpa, GuestMemory};
pub use mmio::{MmioDevice, NetConfig};
pub use source::{FrameSource, Received, SourceError};
pub use space::{DropReason, Placed, RxSpace};
pub use spec::{Features, FrameMeta};
pub use worker::{RxConfig, RxWorkerSlot};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
