//! The split ring, from the device's side (section 2.7).

use super::chain::{self, ChainFault, Descriptor, WalkRules};
use super::{ConfigError, Cursor, Reserved, Ring, RingConfig, RingError, Want};
use crate::mem::{GuestArray, GuestMemory, Translator};
use crate::space::{Pool, Popped};
use crate::spec::Features;
use crate::spec::ring::{AVAIL_NO_INTERRUPT, USED_NO_NOTIFY, crosses};
use crate::sync::{Ordering, fence};

/// Words of the available ring, counted in u16.
mod avail {
    pub(super) const FLAGS: usize = 0;
    pub(super) const INDEX: usize = 1;
    pub(super) const RING: usize = 2;
}

/// Words of the used ring's header, counted in u16.
mod used {
    pub(super) const FLAGS: usize = 0;
    pub(super) const INDEX: usize = 1;
    /// Bytes before the entries.
    pub(super) const HEADER_LEN: u64 = 4;
    pub(super) const ENTRY_LEN: u64 = 8;
}

/// A split ring that was validated and is live.
#[derive(Debug)]
pub struct SplitRing {
    config: RingConfig,
    event_idx: bool,
    indirect: bool,
    cursor: Cursor,
    /// The used index that the driver sees.
    published: u16,
    /// The used index at the last decision about an interrupt; none has been taken yet at first.
    decided: Option<u16>,
    /// The driver has been asked for kicks.
    armed: bool,
    /// By head: popped and not yet staged.
    in_flight: Box<[bool]>,
}

/// A split ring's words in host memory.
#[derive(Debug)]
pub struct SplitAreas<'m> {
    table: GuestArray<'m, u64>,
    avail: GuestArray<'m, u16>,
    used: GuestArray<'m, u16>,
    entries: GuestArray<'m, u32>,
    avail_event: GuestArray<'m, u16>,
}

impl SplitRing {
    /// Makes a live ring of a driver's queue, under the features that the driver acknowledged.
    ///
    /// # Errors
    /// When the size or an alignment is not allowed, or an area is not backed by `memory`.
    pub fn new<M: GuestMemory + ?Sized>(
        config: RingConfig,
        features: Features,
        memory: &M,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let ring = Self {
            config,
            event_idx: features.has(Features::EVENT_IDX),
            indirect: features.has(Features::INDIRECT_DESC),
            cursor: config.start,
            published: config.start.next_used,
            decided: None,
            armed: true,
            in_flight: vec![false; usize::from(config.size)].into(),
        };
        ring.map(&mut Translator::new(memory))?;
        Ok(ring)
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.config.size - 1))
    }

    /// How many chains the driver has made available that are not popped.
    fn available(&self, areas: &SplitAreas<'_>) -> Result<u16, RingError> {
        let index = areas.avail.load(avail::INDEX, Ordering::Acquire);
        let jump = index.wrapping_sub(self.cursor.next_used);
        let popped = self.cursor.next_avail.wrapping_sub(self.cursor.next_used);
        match jump.checked_sub(popped) {
            Some(available) if jump <= self.config.size => Ok(available),
            _ => Err(RingError::IndexJump { index, jump, size: self.config.size }),
        }
    }

    /// Pops the chain at `position` into the pool, or says what is wrong with it.
    #[inline]
    fn pop<'m, M: GuestMemory + ?Sized>(
        &mut self,
        areas: &SplitAreas<'m>,
        memory: &mut Translator<'m, M>,
        pool: &mut Pool,
        min_chain: usize,
        popped: Popped,
    ) -> Result<(), ChainFault> {
        let in_flight = self.in_flight.get_mut(usize::from(popped.id)).ok_or(ChainFault::HeadOutside)?;
        if *in_flight {
            return Err(ChainFault::Duplicate);
        }
        let head = chain::load(&areas.table, popped.id);
        if !push_single(&head, memory, pool, min_chain, popped) {
            let rules = WalkRules { size: self.config.size, indirect: self.indirect, min_chain };
            chain::walk(&areas.table, head, memory, pool, &rules, popped)?;
        }
        *in_flight = true;
        Ok(())
    }

    /// Asks the driver not to kick: chains are looked for anyway.
    fn disarm(&mut self, areas: &SplitAreas<'_>) {
        self.armed = false;
        if !self.event_idx {
            areas.used.store(used::FLAGS, USED_NO_NOTIFY, Ordering::Relaxed);
        }
    }

    fn write_entry(&mut self, areas: &SplitAreas<'_>, id: u16, written: u32) {
        let entry = 2 * self.slot(self.cursor.next_used);
        areas.entries.store(entry, u32::from(id), Ordering::Relaxed);
        areas.entries.store(entry + 1, written, Ordering::Relaxed);
        self.cursor.next_used = self.cursor.next_used.wrapping_add(1);
    }

    #[cold]
    fn refuse(&mut self, areas: &SplitAreas<'_>, popped: Popped, fault: &ChainFault) {
        tracing::debug!(head = popped.id, %fault, "the guest made a bad chain available");
        self.write_entry(areas, popped.id, 0);
    }
}

/// The common case: one buffer, long enough, in one run. `false` leaves the judgement to the walk.
#[inline(always)]
fn push_single<'m, M: GuestMemory + ?Sized>(
    head: &Descriptor,
    memory: &mut Translator<'m, M>,
    pool: &mut Pool,
    min_chain: usize,
    popped: Popped,
) -> bool {
    let len = head.len as usize;
    if !head.is_single() || len < min_chain {
        return false;
    }
    match memory.run(head.at, len) {
        Ok(run) if run.len() == len => {
            pool.push_single(popped, head.at, run);
            true
        }
        _ => false,
    }
}

impl Ring for SplitRing {
    type Areas<'m> = SplitAreas<'m>;

    fn map<'m, M: GuestMemory + ?Sized>(
        &self,
        memory: &mut Translator<'m, M>,
    ) -> Result<SplitAreas<'m>, RingError> {
        let RingConfig { size, desc, avail, used, .. } = self.config;
        let size = usize::from(size);
        let entries = used.checked_add(used::HEADER_LEN);
        let event = used.checked_add(used::HEADER_LEN + used::ENTRY_LEN * size as u64);
        let overflow = crate::mem::MemoryError::Overflow { at: used, len: used::HEADER_LEN };
        Ok(SplitAreas {
            table: GuestArray::new(memory, desc, 2 * size)?,
            avail: GuestArray::new(memory, avail, avail::RING + size + 1)?,
            used: GuestArray::new(memory, used, 2)?,
            entries: GuestArray::new(memory, entries.ok_or(overflow)?, 2 * size)?,
            avail_event: GuestArray::new(memory, event.ok_or(overflow)?, 1)?,
        })
    }

    fn reserve<'m, M: GuestMemory + ?Sized>(
        &mut self,
        areas: &SplitAreas<'m>,
        memory: &mut Translator<'m, M>,
        pool: &mut Pool,
        want: Want,
    ) -> Result<Reserved, RingError> {
        let available = self.available(areas)?;
        if available > 0 && self.armed {
            self.disarm(areas);
        }
        let (mut chains, mut bytes) = (pool.free(), if want.bytes > 0 { pool.free_bytes() } else { 0 });
        let mut reserved = Reserved::default();
        let mut left = available;
        while left > 0
            && (chains < want.chains || bytes < want.bytes)
            && reserved.chains + reserved.bad < want.at_most
        {
            let position = self.cursor.next_avail;
            let id = areas.avail.load(avail::RING + self.slot(position), Ordering::Relaxed);
            let popped = Popped { id, position };
            self.cursor.next_avail = position.wrapping_add(1);
            left -= 1;
            match self.pop(areas, memory, pool, want.min_chain, popped) {
                Ok(()) => {
                    reserved.chains += 1;
                    chains += 1;
                    if want.bytes > 0 {
                        bytes += pool.last_capacity();
                    }
                }
                Err(fault) => {
                    reserved.bad += 1;
                    self.refuse(areas, popped, &fault);
                }
            }
        }
        reserved.dry = left == 0;
        Ok(reserved)
    }

    #[inline(always)]
    fn stage(&mut self, areas: &SplitAreas<'_>, chain: Popped, written: u32) {
        if let Some(in_flight) = self.in_flight.get_mut(usize::from(chain.id)) {
            *in_flight = false;
        }
        self.write_entry(areas, chain.id, written);
    }

    fn publish(&mut self, areas: &SplitAreas<'_>) -> u16 {
        let staged = self.cursor.next_used.wrapping_sub(self.published);
        if staged > 0 {
            self.published = self.cursor.next_used;
            areas.used.store(used::INDEX, self.published, Ordering::Release);
        }
        staged
    }

    fn wants_interrupt(&mut self, areas: &SplitAreas<'_>) -> bool {
        let old = self.decided.replace(self.published);
        if old == Some(self.published) {
            return false;
        }
        fence(Ordering::SeqCst);
        if !self.event_idx {
            return areas.avail.load(avail::FLAGS, Ordering::Relaxed) & AVAIL_NO_INTERRUPT == 0;
        }
        let used_event = areas.avail.load(avail::RING + usize::from(self.config.size), Ordering::Relaxed);
        old.is_none_or(|old| crosses(used_event, old, self.published))
    }

    fn arm(&mut self, areas: &SplitAreas<'_>) -> bool {
        if self.event_idx {
            areas.avail_event.store(0, self.cursor.next_avail, Ordering::Relaxed);
        } else {
            areas.used.store(used::FLAGS, 0, Ordering::Relaxed);
        }
        self.armed = true;
        fence(Ordering::SeqCst);
        areas.avail.load(avail::INDEX, Ordering::Relaxed) != self.cursor.next_avail
    }

    fn give_back(&mut self, areas: &SplitAreas<'_>, mut free: Vec<Popped>) -> usize {
        let next = self.cursor.next_avail;
        free.sort_unstable_by_key(|chain| next.wrapping_sub(chain.position));
        let is_last = |(back, chain): &(u16, &Popped)| next.wrapping_sub(chain.position) == back + 1;
        let rewound = (0..).zip(&free).take_while(is_last).count();
        self.cursor.next_avail = next.wrapping_sub(rewound as u16);
        for chain in free.iter().take(rewound) {
            if let Some(in_flight) = self.in_flight.get_mut(usize::from(chain.id)) {
                *in_flight = false;
            }
        }
        for chain in free.iter().skip(rewound) {
            self.stage(areas, *chain, 0);
        }
        free.len() - rewound
    }

    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn size(&self) -> u16 {
        self.config.size
    }
}
