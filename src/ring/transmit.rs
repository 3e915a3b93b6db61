//! The transmit queue, for whoever sends the guest's frames on.
//!
//! ```text
//! available --frame--> TxFrame --copy_to, buffers--> the network
//!                         |
//!                         +--complete--> staged --publish--> used
//! ```
//!
//! It is the receive queue's ring, read instead of written: the same walk checks each chain, the same pool keeps those
//! that were popped, and a chain that makes no sense is completed at once and counted.

use super::{ConfigError, Cursor, Ledger, Ring, RingConfig, RingError, Slot, SplitRing, SplitTurn, Want};
use crate::mem::{GuestBuf, GuestMemory};
use crate::spec::{Features, HeaderRules};

/// The longest frame that is read, in bytes, header included: twice what IP can make. Longer chains are bad ones.
const MAX_FRAME: usize = 1 << 17;

/// Reads the frames that a guest sends.
///
/// * **Ordering**: frames come in the order in which the driver made them available, and are completed in it.
/// * **Threads**: one at a time; it may move between turns.
/// * **Blocking**: never.
#[derive(Debug)]
pub struct TxReader<M> {
    ring: SplitRing,
    memory: M,
    refused: u64,
    sent: u64,
    bytes: u64,
}

/// What was read from a transmit queue, since its reader was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxStats {
    /// Frames completed.
    pub frames: u64,
    /// Their bytes, without headers.
    pub bytes: u64,
    /// Chains completed unread because the guest made them wrong: see [`ChainFault`](super::ChainFault). Longer than any
    /// frame, of more than 1024 buffers, or unplugged while it waited, is wrong as well.
    pub chains_bad: u64,
}

impl<M: GuestMemory> TxReader<M> {
    /// A reader of a driver's queue, under the features that the driver acknowledged.
    ///
    /// # Errors
    /// When the size, an alignment or the start is not allowed, or an area is not backed by `memory`.
    pub fn new(config: RingConfig, features: Features, mut memory: M) -> Result<Self, ConfigError> {
        memory.refresh();
        let ring = SplitRing::for_reading(config, features, &memory)?;
        Ok(Self { ring, memory, refused: 0, sent: 0, bytes: 0 })
    }

    /// Begins a turn. Frames that the turn before did not complete come again.
    ///
    /// # Errors
    /// When the ring is not in guest memory any more, or was found broken before, as it stays.
    pub fn turn(&mut self) -> Result<TxTurn<'_>, RingError> {
        let Self { ring, memory, refused, sent, bytes } = self;
        let header_len = ring.rules().len();
        Ok(TxTurn { ring: ring.turn(memory)?, header_len, refused, sent, bytes })
    }

    /// What was read so far.
    #[must_use]
    pub fn stats(&self) -> TxStats {
        let Ledger { bad, emptied, .. } = self.ring.ledger;
        let chains_bad = bad + emptied + self.refused;
        TxStats { frames: self.sent, bytes: self.bytes, chains_bad }
    }

    /// Where the ring stands: a reader that is made from here begins with the frames that were not completed.
    /// [Publish](TxTurn::publish) before: it does not show the driver what another reader has completed.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let Cursor { next_avail, next_used } = self.ring.cursor();
        Cursor { next_avail: next_avail.wrapping_sub(self.ring.pool.free() as u16), next_used }
    }
}

/// A transmit queue whose words and buffers are mapped.
pub struct TxTurn<'t> {
    ring: SplitTurn<'t>,
    header_len: usize,
    refused: &'t mut u64,
    sent: &'t mut u64,
    bytes: &'t mut u64,
}

impl<'t> TxTurn<'t> {
    /// The next frame that is not completed. `None` when there is none, or when looking at chains has taken long enough for a
    /// turn: publish, then let [`arm`](Self::arm) tell which.
    ///
    /// # Errors
    /// When the ring makes no sense as a whole: the VMM sets `DEVICE_NEEDS_RESET`.
    pub fn frame(&mut self) -> Result<Option<TxFrame<'_, 't>>, RingError> {
        if !self.ring.reserve(Want { chains: 1, bytes: 0 })? {
            return Ok(None);
        }
        if let Some((slot, header)) = self.look_at_front() {
            return Ok(Some(TxFrame { turn: self, slot, header }));
        }
        *self.refused += 1;
        self.complete_front();
        Ok(None)
    }

    /// Shows the driver what was completed; `true` if it wants an interrupt for that.
    #[must_use]
    pub fn publish(&mut self) -> bool {
        self.ring.publish() > 0 && self.ring.wants_interrupt()
    }

    /// Asks the driver for a kick when it makes the next frame available; `true` if it already has, and the kick will not
    /// come.
    #[must_use]
    pub fn arm(&mut self) -> bool {
        self.ring.pool().free() > 0 || self.ring.arm()
    }

    /// The buffers of the frame in front, and its header, read once; `None` if it is too long.
    fn look_at_front(&mut self) -> Option<(Slot, [u8; HeaderRules::MAX_LEN])> {
        let pool = self.ring.pool();
        let capacity = pool.front_capacity()?;
        let header_len = self.header_len;
        let mut header = [0; HeaderRules::MAX_LEN];
        pool.read_front(0, header.get_mut(..header_len).unwrap_or_default());
        pool.clear_loan();
        pool.lend(1, header_len, 0);
        let slot = *pool.slots.first()?;
        let readable = capacity <= MAX_FRAME && slot.room + header_len == capacity;
        readable.then_some((slot, header))
    }

    fn complete_front(&mut self) {
        self.ring.pool().fill_many(1, &[], &[]);
        self.ring.stage_filled();
    }
}

impl std::fmt::Debug for TxTurn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxTurn").field("header_len", &self.header_len).finish_non_exhaustive()
    }
}

/// A frame that the guest sends. Dropped without [`complete`](Self::complete), it comes again.
#[derive(Debug)]
pub struct TxFrame<'f, 't> {
    turn: &'f mut TxTurn<'t>,
    slot: Slot,
    header: [u8; HeaderRules::MAX_LEN],
}

impl TxFrame<'_, '_> {
    /// Its header (section 5.1.6): 12 bytes, or 10 for a driver without `VERSION_1` and `MRG_RXBUF`. Read once; what it asks
    /// for is the guest's wish, to be checked by whoever fulfils it.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.turn.header_len).unwrap_or_default()
    }

    /// Its length in bytes, without the header: at most 128 KiB.
    #[must_use]
    pub fn len(&self) -> usize {
        let Slot { room, .. } = self.slot;
        room
    }

    /// Whether there is nothing behind the header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The host addresses of its bytes, at most 1024, as a scatter list for `writev` and its like; good until the frame is
    /// dropped or completed. The guest may change the bytes at any time.
    #[must_use]
    pub fn buffers(&self) -> &[GuestBuf] {
        let lists = &self.turn.ring.loan().lists;
        lists.get(self.slot.list..self.slot.list + self.slot.len).unwrap_or_default()
    }

    /// Copies the front of the frame out, as much as `to` holds; returns how many bytes that was.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        self.turn.ring.loan().read_front(self.turn.header_len, to)
    }

    /// Done with it: the driver gets its buffers back with the next [`publish`](TxTurn::publish).
    pub fn complete(self) {
        *self.turn.sent += 1;
        *self.turn.bytes += self.len() as u64;
        self.turn.complete_front();
    }
}
