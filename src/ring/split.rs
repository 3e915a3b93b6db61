//! The split ring's own state: all that lasts from turn to turn (section 2.7).

use super::areas::Areas;
use super::chain::Access;
use super::{ConfigError, Cursor, Ledger, Pool, RingConfig, RingError, SplitTurn};
use crate::mem::{Gpa, GuestMemory, Translator};
use crate::spec::{Features, HeaderRules, MIN_FRAME};

/// A split ring that was validated and is live.
#[derive(Debug)]
pub struct SplitRing {
    pub(super) config: RingConfig,
    pub(super) rules: HeaderRules,
    pub(super) event_idx: bool,
    pub(super) indirect: bool,
    pub(super) access: Access,
    /// The next chain is not expected to be one buffer: the last was not, or is not to be written.
    pub(super) chained: bool,
    /// The shortest chain that is of use, in bytes.
    pub(super) min_chain: usize,
    pub(super) cursor: Cursor,
    /// The driver's index at the last look.
    pub(super) seen: u16,
    /// The used index that the driver sees.
    pub(super) published: u16,
    /// The used index at the last decision about an interrupt; none before the first, nor once 65536 entries were published
    /// since: then the answer is yes.
    pub(super) decided: Option<u16>,
    /// The driver has been asked for kicks.
    pub(super) armed: bool,
    pub(super) heads: Heads,
    pub(super) pool: Pool,
    /// The pool's addresses are of an earlier layout of the memory.
    pub(super) moved: bool,
    pub(super) ledger: Ledger,
    /// Where the chain begins that was walked last: the driver's buffers are looked for in its region first.
    pub(super) hint: Option<Gpa>,
    /// What was found to be wrong, once and for all.
    pub(super) broken: Option<RingError>,
}

/// Features under which the driver takes the ring or its headers for something else, or relies on an order that is not kept.
const FOREIGN: Features = Features(Features::RING_PACKED.0 | Features::IN_ORDER.0 | Features::HASH_REPORT.0);

impl SplitRing {
    /// Makes a live ring of a driver's queue, under the features that the driver acknowledged, in the layout that `memory`
    /// had at its last [`refresh`](GuestMemory::refresh).
    ///
    /// # Errors
    /// When the size, an alignment or the start is not allowed, an area is not backed by `memory`, or the features are those
    /// of another ring.
    pub fn new<M: GuestMemory>(
        config: RingConfig,
        features: Features,
        memory: &M,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let foreign = features & FOREIGN;
        if foreign != Features::NONE {
            return Err(ConfigError::Features(foreign));
        }
        Areas::map(&config, &mut Translator::new(memory)).map_err(ConfigError::Ring)?;
        let rules = HeaderRules::new(features);
        Ok(Self {
            config,
            rules,
            event_idx: features.has(Features::EVENT_IDX),
            indirect: features.has(Features::INDIRECT_DESC),
            access: Access::Write,
            chained: false,
            min_chain: rules.len() + if rules.mergeable() { 0 } else { MIN_FRAME },
            cursor: config.start,
            seen: config.start.next_avail,
            published: config.start.next_used,
            decided: None,
            armed: true,
            heads: Heads::new(config.size),
            pool: Pool::default(),
            moved: false,
            ledger: Ledger::default(),
            hint: None,
            broken: None,
        })
    }

    /// The same for a transmit queue, whose chains are read, and need hold no more than a header.
    pub(super) fn for_reading<M: GuestMemory>(
        config: RingConfig,
        features: Features,
        memory: &M,
    ) -> Result<Self, ConfigError> {
        let min_chain = HeaderRules::new(features).len();
        Ok(Self { access: Access::Read, chained: true, min_chain, ..Self::new(config, features, memory)? })
    }

    /// Where the ring stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What its features say of headers.
    #[inline(always)]
    pub(crate) fn rules(&self) -> HeaderRules {
        self.rules
    }

    /// What was found to be wrong with it.
    pub(crate) fn broken(&self) -> Option<RingError> {
        self.broken
    }

    /// Maps the ring for a turn, in the memory's layout as it is now.
    #[inline(always)]
    pub(crate) fn turn<'t, M: GuestMemory>(
        &'t mut self,
        memory: &'t mut M,
    ) -> Result<SplitTurn<'t>, RingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        self.moved |= memory.refresh();
        if self.moved {
            self.follow(memory)?;
        }
        SplitTurn::new(self, memory)
    }

    /// Follows a change of the memory's layout.
    #[cold]
    fn follow<M: GuestMemory>(&mut self, memory: &M) -> Result<(), RingError> {
        SplitTurn::new(self, memory)?.retranslate();
        self.moved = false;
        Ok(())
    }
}

/// Which heads are on their way from the available ring to the used ring.
///
/// A head that is completed stays taken until the driver can see that: made available again before, it is a duplicate.
#[derive(Debug)]
pub(super) struct Heads {
    /// By head: the epoch in which it was completed, or [`HELD`].
    epochs: Box<[u32]>,
    now: u32,
}

/// The head's chain is in the pool. Later than every epoch.
pub(super) const HELD: u32 = u32::MAX;

impl Heads {
    fn new(size: u16) -> Self {
        Self { epochs: vec![0; usize::from(size)].into(), now: 1 }
    }

    /// What a batch looks at: nothing is published in its midst.
    #[inline(always)]
    pub(super) fn batch(&mut self) -> Batch<'_> {
        Batch { epochs: &mut self.epochs, now: self.now }
    }

    /// The chain of a head is in the pool; `false` if it is outside of the table or taken.
    pub(super) fn hold(&mut self, head: u16) -> bool {
        self.batch().free(head).map(|epoch| *epoch = HELD).is_some()
    }

    /// Whether the table has such a head.
    pub(super) fn has(&self, head: u16) -> bool {
        usize::from(head) < self.epochs.len()
    }

    /// The chain of a held head is completed.
    pub(super) fn complete(&mut self, head: u16) {
        let now = self.now;
        self.batch().set(head, now);
    }

    /// A held head is available again.
    pub(super) fn release(&mut self, head: u16) {
        self.batch().release(head);
    }

    /// The driver can see all that was completed: those heads are free to come again.
    #[inline]
    pub(super) fn published(&mut self) {
        self.now += 1;
        if self.now == HELD {
            self.epochs.iter_mut().filter(|epoch| **epoch < HELD).for_each(|epoch| *epoch = 0);
            self.now = 1;
        }
    }
}

/// The heads, within a batch.
pub(super) struct Batch<'h> {
    epochs: &'h mut [u32],
    now: u32,
}

impl<'h> Batch<'h> {
    /// By head: when it was completed, and now. A head of an earlier time may be popped, and completed by being given this
    /// one.
    #[inline(always)]
    pub(super) fn into_parts(self) -> (&'h mut [u32], u32) {
        (self.epochs, self.now)
    }

    /// The place of a head that the table has and that may be popped.
    fn free(&mut self, head: u16) -> Option<&mut u32> {
        let now = self.now;
        self.epochs.get_mut(usize::from(head)).filter(|epoch| **epoch < now)
    }

    /// The head was popped in vain.
    pub(super) fn release(&mut self, head: u16) {
        self.set(head, 0);
    }

    fn set(&mut self, head: u16, to: u32) {
        if let Some(epoch) = self.epochs.get_mut(usize::from(head)) {
            *epoch = to;
        }
    }
}

#[cfg(test)]
mod tests {
    //! The life of a head.

    use super::*;

    #[test]
    fn a_head_is_taken_until_its_completion_is_visible() {
        let mut heads = Heads::new(4);
        assert!(!heads.hold(4), "outside of the table");
        assert!(complete(&mut heads, 3) && !complete(&mut heads, 3), "completed, and not visible yet");
        heads.published();
        assert!(heads.hold(3));
        heads.published();
        assert!(!complete(&mut heads, 3), "held over any number of batches");
        heads.complete(3);
        assert!(!heads.hold(3));
        heads.published();
        assert!(heads.hold(3));
    }

    #[test]
    fn epochs_wrap_without_freeing_what_is_held() {
        let mut heads = Heads::new(2);
        heads.now = HELD - 1;
        assert!(heads.hold(0) && complete(&mut heads, 1));
        heads.published();
        assert_eq!(heads.now, 1);
        assert!(!heads.hold(0));
        assert!(heads.hold(1));
    }

    fn complete(heads: &mut Heads, head: u16) -> bool {
        let now = heads.now;
        heads.batch().free(head).map(|epoch| *epoch = now).is_some()
    }
}
