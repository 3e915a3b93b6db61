//! The guest's side of a receive ring: a driver that checks whatever the device does.
//!
//! ```text
//! post --avail--> device --used--> drain: id, lengths, header and frame checked; buffers free again
//! ```
//!
//! A chain has its descriptors and buffers for life; posting and draining only move its head between the rings.

mod config;
mod drain;
mod hostile;
mod words;

pub use config::{DriverConfig, DriverError, Shape};
pub use drain::{Taken, Violation};
pub use hostile::Hostile;

use std::collections::VecDeque;

use netrx::ring::RingConfig;
use netrx::spec::ring::{AVAIL_NO_INTERRUPT, USED_NO_NOTIFY, crosses};
use netrx::{Features, Gpa};

use crate::{MockMemory, Trespass};
use config::{ChainPlan, Layout};
use words::Words;

/// A driver of one receive queue, on memory of its own.
///
/// It belongs to one thread, as a guest's queue does.
#[derive(Debug)]
pub struct FakeDriver {
    memory: MockMemory,
    features: Features,
    ring: RingConfig,
    header_len: usize,
    chains: Vec<ChainPlan>,
    by_head: Vec<Option<usize>>,
    free: VecDeque<usize>,
    posted: Vec<bool>,
    outside: Vec<(Gpa, u64)>,
    next_avail: u16,
    next_used: u16,
    emptied: u64,
}

/// What posting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Chains that were made available.
    pub chains: usize,
    /// Whether the device asked for a kick.
    pub kick: bool,
}

impl FakeDriver {
    /// A driver whose rings, tables and buffers lie in `memory`; nothing is posted yet.
    ///
    /// # Errors
    /// When the memory is too small for the buffers, or the shape does not fit the queue.
    pub fn new(memory: &MockMemory, config: DriverConfig) -> Result<Self, DriverError> {
        let Layout { ring, chains, outside } = config.lay_out(memory)?;
        let mut by_head = vec![None; usize::from(ring.size)];
        for (index, chain) in chains.iter().enumerate() {
            by_head[usize::from(chain.head)] = Some(index);
        }
        let counted = config.features.has(Features::VERSION_1) || config.features.has(Features::MRG_RXBUF);
        let driver = Self {
            memory: memory.clone(),
            features: config.features,
            ring,
            header_len: if counted { 12 } else { 10 },
            by_head,
            free: (0..chains.len()).collect(),
            posted: vec![false; chains.len()],
            chains,
            outside,
            next_avail: config.start,
            next_used: config.start,
            emptied: 0,
        };
        driver.set_up();
        Ok(driver)
    }

    /// Writes the rings' words as a driver does before `DRIVER_OK`.
    fn set_up(&self) {
        let words = self.words();
        words.set_avail_flags(0);
        words.set_used_flags(0);
        words.set_avail_index(self.next_avail);
        words.set_used_index(self.next_used);
        words.set_used_event(self.next_used);
        words.set_avail_event(self.next_avail);
        for chain in &self.chains {
            chain.write(&self.memory, &words);
        }
    }

    /// The queue's registers, as the driver would set them. The start is where the driver stands.
    #[must_use]
    pub const fn ring_config(&self) -> RingConfig {
        self.ring
    }

    /// The features that it acknowledged.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// The memory that it lives in.
    #[must_use]
    pub const fn memory(&self) -> &MockMemory {
        &self.memory
    }

    /// How many chains it has, posted or not.
    #[must_use]
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// How many chains are not posted.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// How many chains came back without a frame.
    #[must_use]
    pub const fn emptied(&self) -> u64 {
        self.emptied
    }

    /// Makes up to `chains` free chains available, with one store of the index.
    pub fn post(&mut self, chains: usize) -> Posted {
        let words = Words::map(&self.memory, &self.ring);
        let before = self.next_avail;
        for _ in 0..chains.min(self.free.len()) {
            let Some(chain) = self.free.pop_front() else { break };
            self.posted[chain] = true;
            words.set_avail_entry(self.next_avail, self.chains[chain].head);
            self.next_avail = self.next_avail.wrapping_add(1);
        }
        let chains = usize::from(self.next_avail.wrapping_sub(before));
        if chains == 0 {
            return Posted { chains, kick: false };
        }
        words.publish_avail(self.next_avail);
        let kick = match self.features.has(Features::EVENT_IDX) {
            true => crosses(words.avail_event(), before, self.next_avail),
            false => words.used_flags() & USED_NO_NOTIFY == 0,
        };
        Posted { chains, kick }
    }

    /// Mixes the free chains, so that heads are posted out of order from now on.
    pub fn shuffle(&mut self, random: &mut fastrand::Rng) {
        random.shuffle(self.free.make_contiguous());
    }

    /// Asks for an interrupt at the next used entry; `true` if there already is one, and the interrupt may not come.
    pub fn want_interrupt(&mut self) -> bool {
        let words = self.words();
        if self.features.has(Features::EVENT_IDX) {
            words.set_used_event(self.next_used);
        } else {
            words.set_avail_flags(0);
        }
        words.barrier();
        words.used_index() != self.next_used
    }

    /// Asks for no interrupts: it will look by itself.
    pub fn ignore_interrupts(&mut self) {
        let words = self.words();
        if self.features.has(Features::EVENT_IDX) {
            words.set_used_event(self.next_used.wrapping_sub(1));
        } else {
            words.set_avail_flags(AVAIL_NO_INTERRUPT);
        }
    }

    /// Whether there are used entries to drain.
    #[must_use]
    pub fn has_used(&self) -> bool {
        self.words().used_index() != self.next_used
    }

    /// Checks that nothing was ever written outside of the rings and of the buffers of chains.
    ///
    /// # Errors
    /// The first byte that was.
    pub fn audit(&self) -> Result<(), Trespass> {
        let buffers = self.chains.iter().flat_map(|chain| chain.buffers.iter());
        let buffers = buffers.map(|&(at, len)| (at, u64::from(len)));
        let may_change: Vec<_> = self.outside.iter().copied().chain(buffers).collect();
        self.memory.audit(&may_change)
    }

    /// The same guest, told to break the rules.
    pub fn hostile(&mut self) -> Hostile<'_> {
        Hostile::new(self)
    }

    fn words(&self) -> Words<'_> {
        Words::map(&self.memory, &self.ring)
    }
}
