//! The queue that driver and device share.
//!
//! [`Ring`] is what the engine needs of one: pop chains into the pool, stage used entries, publish them at once, decide
//! about the interrupt, ask for kicks. [`SplitRing`] is the split layout of section 2.7; a packed one fits under
//! the same trait. The ring works on positions and words only: who fills the buffers and who raises interrupts it does
//! not know.
//!
//! A [`RingConfig`] becomes a ring by validation, once; after that nothing checks alignment or size again.

mod chain;
mod config;
mod split;

pub use chain::ChainFault;
pub use config::{ConfigError, RingConfig};
pub use split::{SplitAreas, SplitRing};

use crate::mem::{GuestMemory, MemoryError, Translator};
use crate::space::{Pool, Popped};

/// Where a ring stands: all that outlives its worker, for snapshot and restore.
///
/// A stopped worker has published or given back all it had popped, so the two indices agree then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Index of the next available entry to pop, free-running.
    pub next_avail: u16,
    /// Index of the next used entry to write, free-running.
    pub next_used: u16,
}

/// How much to pop.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// Stop when the pool has this many free chains,
    pub chains: usize,
    /// and this many free bytes.
    pub bytes: usize,
    /// Pop no more than this many chains, good or bad.
    pub at_most: usize,
    /// The shortest chain that is of use, in bytes.
    pub min_chain: usize,
}

/// What was popped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Chains that are in the pool now.
    pub chains: usize,
    /// Chains that made no sense; each is staged with length 0.
    pub bad: usize,
    /// Whether the ring has no more available chains.
    pub dry: bool,
}

/// A ring, from the device's side.
///
/// The methods are called in the order of the engine's steps by one thread. `areas` is the ring's memory for the length
/// of a turn, from [`map`](Self::map).
pub trait Ring: Send {
    /// The ring's words in host memory.
    type Areas<'m>;

    /// Finds the ring's words.
    ///
    /// # Errors
    /// When the guest's memory does not back them, each area in one run.
    fn map<'m, M: GuestMemory + ?Sized>(
        &self,
        memory: &mut Translator<'m, M>,
    ) -> Result<Self::Areas<'m>, RingError>;

    /// Pops available chains into the pool, reading each of the driver's words once.
    ///
    /// # Errors
    /// When the ring makes no sense as a whole. Nothing was popped then.
    fn reserve<'m, M: GuestMemory + ?Sized>(
        &mut self,
        areas: &Self::Areas<'m>,
        memory: &mut Translator<'m, M>,
        pool: &mut Pool,
        want: Want,
    ) -> Result<Reserved, RingError>;

    /// Writes the used entry of a popped chain behind those that the driver can see.
    fn stage(&mut self, areas: &Self::Areas<'_>, chain: Popped, written: u32);

    /// Lets the driver see every staged entry, with one store; returns how many those were.
    fn publish(&mut self, areas: &Self::Areas<'_>) -> u16;

    /// Whether the driver wants an interrupt for what was published since the last answer.
    ///
    /// Between the publishing store and the load of the driver's wish stands a full barrier (section 2.7.7).
    fn wants_interrupt(&mut self, areas: &Self::Areas<'_>) -> bool;

    /// Asks the driver for a kick when it makes the next chain available; `true` if it already has, and the kick will
    /// not come.
    ///
    /// Between the store of the wish and the load of the driver's index stands a full barrier (section 2.7.10).
    fn arm(&mut self, areas: &Self::Areas<'_>) -> bool;

    /// Takes chains back that were popped and not used: those popped last become available again, any others are
    /// staged with length 0. Returns how many were staged.
    fn give_back(&mut self, areas: &Self::Areas<'_>, free: Vec<Popped>) -> usize;

    /// Where the ring stands.
    fn cursor(&self) -> Cursor;

    /// How many chains the driver can make available at once.
    fn size(&self) -> u16;
}

/// Why a ring makes no sense any more: the device needs a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The driver's index says that more chains are available than the ring holds.
    #[error("the driver made {jump} chains available in a ring of {size} (its index is {index})")]
    IndexJump {
        /// The driver's index.
        index: u16,
        /// Chains it claims to have made available and not yet got back.
        jump: u16,
        /// The ring's size.
        size: u16,
    },
    /// The ring's words are not in guest memory.
    #[error("the ring is not in guest memory: {0}")]
    Memory(#[from] MemoryError),
}
