//! What the models share: a guest of a few bytes, a source of a few frames, an interrupt line, and a virtio-mmio card.
//!
//! Each file in `tests/` is a model: the real engine or the real worker on one side, this guest on the other, and loom
//! runs every interleaving of a few preemptions, as many as the model says, and every outcome of the relaxed accesses
//! between them. A side that would sleep for ever is a deadlock to loom, so a lost wake-up fails the test. Without
//! `--cfg loom` the crate is empty.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release -p netrx-loom
//! ```

#![cfg(loom)]

mod card;
mod guest;
mod line;
mod ram;
mod source;

pub use card::{Card, Pin};
pub use guest::Guest;
pub use line::{Bell, Line};
pub use ram::{Ram, Touched};
pub use source::Few;

use std::sync::Arc;

use netrx::ring::SplitRing;
use netrx::{Engine, EngineConfig, Features, IrqLine};

/// Without `EVENT_IDX`: both sides say by flags when they want to be notified.
pub const FLAGS: Features = Features::VERSION_1;

/// With `EVENT_IDX`.
#[must_use]
pub fn event_idx() -> Features {
    Features::VERSION_1 | Features::EVENT_IDX
}

/// Runs every interleaving of `model` that switches threads at most `preemptions` times against their will.
pub fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder.check(model);
}

/// An engine on the guest's ring; `None` if its registers make no sense.
#[must_use]
pub fn engine<I: IrqLine>(guest: &Guest, irq: I) -> Option<Engine<Arc<Ram>, I>> {
    let memory = guest.memory();
    let ring = SplitRing::new(guest.ring_config(), guest.features(), &memory).ok()?;
    Some(Engine::new(ring, memory, irq, EngineConfig::default()))
}
