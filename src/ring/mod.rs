//! The queue that driver and device share.
//!
//! ```text
//!              look               place: straight from ring to ring, a plain chain a frame
//! available ---------> popped -+------------------------------------------------------------> staged --publish--> used
//!                              +--reserve--> Pool --fill (other chains, merged buffers, reads)--^
//! ```
//!
//! A [`RingConfig`] becomes a [`SplitRing`] by validation, once; after that nothing checks alignment or size again. For
//! the length of a turn the ring is mapped, and `Ring` is what the engine does with it: a packed ring fits under the
//! same trait. The ring works on positions and words: who brings the frames and who raises interrupts it does not know.

mod areas;
mod chain;
mod config;
mod finder;
mod lane;
mod pool;
mod split;
mod transmit;
mod turn;

pub use chain::ChainFault;
pub use config::{ConfigError, RingConfig};
pub use split::SplitRing;
pub use transmit::{TxFrame, TxReader, TxStats, TxTurn};

pub(crate) use pool::{MAX_LIST, Pool, Slot};
pub(crate) use turn::SplitTurn;

use crate::mem::{Header, MemoryError};

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

/// How many frames are placed before their budget is looked at.
pub(crate) const BATCH: usize = 32;

/// How much to pop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Go on until the pool has this many free chains,
    pub(crate) chains: usize,
    /// and this many free bytes.
    pub(crate) bytes: usize,
}

/// What a burst came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst<F> {
    /// Frames placed: the first ones of the burst.
    pub(crate) frames: usize,
    /// What ended it.
    pub(crate) end: BurstEnd<F>,
}

/// What ended a burst.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BurstEnd<F> {
    /// There are no more frames.
    Frames,
    /// The lane has no more chains that it may take.
    Lane,
    /// This frame does not fit.
    Declined(F),
}

/// What was popped, used and given back since the ring began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Chains popped, good or bad.
    pub(crate) popped: u64,
    /// Used entries written, for whatever reason.
    pub(crate) entries: u64,
    /// Chains that made no sense, completed with length 0.
    pub(crate) bad: u64,
    /// Good chains completed with length 0.
    pub(crate) emptied: u64,
    /// Chains made available again.
    pub(crate) given_back: u64,
}

/// A ring from the device's side, for the length of a turn.
pub(crate) trait Ring {
    /// Looks how many chains the driver has made available: once a batch.
    ///
    /// # Errors
    /// When its index makes no sense.
    fn look(&mut self) -> Result<(), RingError>;

    /// Opens the lane for at most `frames` frames; it stays shut while the pool has free chains, which come first.
    fn open_lane(&mut self, frames: usize);

    /// Copies header and frame into the next chain of the lane and stages it, if the frame is long enough and the chain is
    /// plain and has room for both; returns the bytes written. What is declined is left as it was, for the pool.
    fn place(&mut self, header: &Header, frame: &[u8]) -> Option<usize>;

    /// The same for frame after frame, until one is declined; adds the bytes of those placed to `bytes`.
    fn place_burst<'f, I, F>(&mut self, header: &Header, frames: &mut I, bytes: &mut u64) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f;

    /// Shuts the lane, as must be done before anything else but placing; returns how many frames it took.
    fn close_lane(&mut self) -> usize;

    /// Pops available chains into the pool, reading each of the driver's words once. Returns whether it has all that
    /// was wanted; if not, there are no more, or [as many were looked at](Self::is_spent) as a turn may.
    ///
    /// # Errors
    /// When the ring makes no sense as a whole.
    fn reserve(&mut self, want: Want) -> Result<bool, RingError>;

    /// Whether the driver had made more chains available than are popped, at the last look.
    fn has_more(&self) -> bool;

    /// The popped chains.
    fn pool(&mut self) -> &mut Pool;

    /// The same, to look at what is lent.
    fn loan(&self) -> &Pool;

    /// Records that a frame was read to the chains of `slot`, which stay free.
    fn log_dropped(&self, slot: Slot);

    /// Stages every filled chain of the pool: its used entry is written behind those that the driver can see.
    fn stage_filled(&mut self);

    /// Lets the driver see every staged entry, with one store; returns how many those were.
    fn publish(&mut self) -> u16;

    /// Whether the driver wants an interrupt for what was published since the last answer.
    ///
    /// Between the publishing store and the load of the driver's wish stands a full barrier (section 2.7.7).
    fn wants_interrupt(&mut self) -> bool;

    /// Asks the driver for a kick when it makes the next chain available; `true` if it already has, and the kick will
    /// not come.
    ///
    /// Between the store of the wish and the load of the driver's index stands a full barrier (section 2.7.10).
    fn arm(&mut self) -> bool;

    /// Empties the pool: the chains popped last become available again, any others are staged with length 0.
    fn give_back(&mut self);

    /// How many chains the driver can make available at once.
    fn size(&self) -> usize;

    /// Whether as many descriptors were looked at as a turn may: there may be more chains, and they wait for the next.
    fn is_spent(&self) -> bool;

    /// What was found to be wrong with the ring: it stays so.
    fn broken(&self) -> Option<RingError>;

    /// What happened so far.
    fn ledger(&self) -> Ledger;
}

/// Why a ring makes no sense any more, for as long as there is one: the device needs a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The driver's index went back behind chains that were popped, or says that more are available than the ring holds.
    #[error(
        "the driver's index, {index}, is not between {popped}, up to which chains were popped, and {size} beyond {published}, \
         up to which they came back"
    )]
    IndexJump {
        /// The driver's index.
        index: u16,
        /// Up to where chains were popped.
        popped: u16,
        /// Up to where the driver has seen them come back.
        published: u16,
        /// The ring's size.
        size: u16,
    },
    /// The ring's words are not in guest memory.
    #[error("the ring is not in guest memory: {0}")]
    Memory(#[from] MemoryError),
}
