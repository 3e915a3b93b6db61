//! Raw guest memory, a ring in it, and the duel over that, for guests that keep no rules.

use netrx::ring::RingConfig;
use netrx::{Features, FrameMeta, Gpa};
use netrx_mock::{MockMemory, Placing, traffic};

use crate::device::{Ending, Frame, Manner};
use crate::duel::{Duel, engine_config};
use crate::{Image, NaiveQueue};

/// Memory that is made once and made new for every input: making it takes longer than most inputs.
pub(super) struct Arena {
    memory: MockMemory,
    pristine: Image,
}

impl Arena {
    pub(super) fn new(regions: &[usize]) -> Self {
        let memory = MockMemory::heap(regions);
        Self { pristine: Image::of(&memory), memory }
    }

    /// The memory, as if nobody had ever written there.
    pub(super) fn fresh(&self) -> &MockMemory {
        self.pristine.restore(&self.memory);
        &self.memory
    }
}

/// A duel whose guest writes what it likes.
pub(super) struct Raw {
    duel: Duel,
    sent: u64,
}

/// Frames are shorter than this.
pub(super) const LONGEST: u16 = 600;

/// How the source of a hostile guest's frames places them.
pub(super) fn placing(choice: u8) -> Placing {
    match choice % 4 {
        0 => Placing::Copy,
        1 => Placing::Burst(5),
        2 => Placing::Read { largest: LONGEST as usize, batch: 1 },
        _ => Placing::Read { largest: LONGEST as usize, batch: 4 },
    }
}

impl Raw {
    /// Begins; `None` if the queue is refused.
    pub(super) fn new(
        memory: &MockMemory,
        ring: RingConfig,
        features: Features,
        placing: Placing,
        drops: bool,
    ) -> Option<Self> {
        let reads = match placing {
            Placing::Copy | Placing::Burst(_) => None,
            Placing::Read { largest, .. } => Some(largest),
        };
        let manner = Manner { features, reads, drops, budget: 64 };
        let mut duel = Duel::new(memory, ring, manner, placing, engine_config(&manner)).ok()?;
        // The naive device takes one chain at a time. Where several are taken at once, chains may be used in another order,
        // and a guest whose buffers lie over its ring sees the difference.
        if matches!(placing, Placing::Copy | Placing::Read { batch: 1, .. }) {
            duel.against(NaiveQueue::new(memory, ring, features));
        }
        Some(Self { duel, sent: 0 })
    }

    pub(super) fn ring(&self) -> RingConfig {
        *self.duel.ring()
    }

    /// The guest writes bytes somewhere.
    pub(super) fn write(&mut self, at: Gpa, bytes: &[u8]) {
        if let Ok(to) = self.duel.memory().slice(at, bytes.len()) {
            to.copy_from(bytes);
            self.duel.sync(at, bytes.len());
        }
    }

    /// The guest reads a word.
    pub(super) fn word(&self, at: Gpa) -> u16 {
        let mut word = [0; 2];
        if let Ok(from) = self.duel.memory().slice(at, word.len()) {
            from.copy_to(&mut word);
        }
        u16::from_le_bytes(word)
    }

    /// The guest makes a head available.
    pub(super) fn offer(&mut self, head: u16) {
        let ring = self.ring();
        let index = self.word(Gpa(ring.avail.0 + 2));
        let entry = ring.avail.0 + 4 + 2 * u64::from(index % ring.size);
        self.write(Gpa(entry), &head.to_le_bytes());
        self.write(Gpa(ring.avail.0 + 2), &index.wrapping_add(1).to_le_bytes());
    }

    /// A frame comes in.
    pub(super) fn send(&mut self, len: usize, meta: FrameMeta) {
        let bytes = traffic::frame(self.sent, len);
        self.duel.send(&Frame { bytes, meta });
        self.sent += 1;
    }

    /// The engine has a few turns.
    pub(super) fn poll(&mut self) {
        let turns = (0..4).map(|_| self.duel.poll().0);
        let _ = turns.take_while(|ending| *ending == Ending::More).count();
    }

    /// The engine ends, and another takes over, if the ring makes sense.
    pub(super) fn restart(&mut self) -> bool {
        !self.duel.is_broken() && self.duel.restart().is_ok()
    }

    /// The end.
    pub(super) fn finish(mut self) {
        self.duel.finish();
    }
}
