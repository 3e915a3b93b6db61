//! The split ring at work, for the length of a turn.

use super::areas::{Areas, write_used};
use super::chain::{Access, ChainFault, Popped, Walk};
use super::finder::Finder;
use super::lane::Lane;
use super::split::HELD;
use super::{BATCH, Burst, Ledger, Pool, Ring, RingConfig, RingError, Slot, SplitRing, Want};
use crate::mem::{GuestMemory, Header, Translator};
use crate::spec::ring::{AVAIL_NO_INTERRUPT, MAX_SIZE, USED_NO_NOTIFY, crosses};
use crate::sync::{Ordering, fence};

/// A split ring whose words and buffers are mapped.
pub(crate) struct SplitTurn<'t> {
    ring: &'t mut SplitRing,
    areas: Areas<'t>,
    memory: Translator<'t, dyn GuestMemory + 't>,
    /// The memory keeps a dirty log: frames go through the pool, which remembers where they were written.
    logged: bool,
    lane: Lane<'t>,
    /// Descriptors that may still be looked at.
    fuel: u32,
}

/// How many descriptors a turn looks at. Chains may share descriptors, so that those of a hostile guest come to the square
/// of the queue's size.
const FUEL: u32 = 2 * MAX_SIZE as u32;

impl<'t> SplitTurn<'t> {
    #[inline(always)]
    pub(super) fn new<M: GuestMemory>(ring: &'t mut SplitRing, memory: &'t M) -> Result<Self, RingError> {
        let logged = memory.logs_writes();
        let mut memory: Translator<'t, dyn GuestMemory + 't> = Translator::new(memory);
        let areas = Areas::map(&ring.config, &mut memory).inspect_err(|error| ring.broken = Some(*error))?;
        if let Some(at) = ring.hint {
            // If nothing backs it any more, the used ring's region is as good.
            let _ = memory.run(at, 1);
        }
        Ok(Self { ring, areas, memory, logged, lane: Lane::default(), fuel: FUEL })
    }

    /// Renews the pool's addresses after the memory's layout changed; a chain that is not backed as it was is staged with
    /// length 0.
    pub(super) fn retranslate(&mut self) {
        for chain in self.ring.pool.retranslate(&mut self.memory) {
            self.stage_empty(chain);
        }
    }

    /// Asks the driver not to kick: its chains are looked for anyway.
    fn disarm(&mut self) {
        self.ring.armed = false;
        if !self.ring.event_idx {
            self.areas.set_used_flags(USED_NO_NOTIFY);
            self.log_used_header();
        }
    }

    /// Records that the used ring's flags or index were written.
    #[inline]
    fn log_used_header(&self) {
        if self.logged {
            self.memory.mark_written(self.ring.config.used, 4);
        }
    }

    /// Pops the next available chain; one that makes no sense is staged with length 0.
    fn pop(&mut self) {
        let position = self.ring.cursor.next_avail;
        let popped = Popped { id: self.areas.avail_entry(usize::from(position)), position };
        self.ring.cursor.next_avail = position.wrapping_add(1);
        if let Err(fault) = self.walk(popped) {
            tracing::debug!(head = popped.id, %fault, "the guest made a bad chain available");
            self.ring.ledger.bad += 1;
            self.stage(popped.id, 0);
        }
    }

    /// Pops chains of one buffer each until `want` is met; stops at the first that is not one, or not large enough, which
    /// it leaves. Returns how many, and their bytes.
    fn pop_singles(&mut self, want: Want) -> (usize, usize) {
        let SplitRing { heads, pool, min_chain, cursor, seen, .. } = &mut *self.ring;
        let mut finder = Finder::new(&self.areas, self.memory.remembered(), heads.batch());
        let mut popped = 0;
        let mut bytes = 0;
        let available = usize::from(seen.wrapping_sub(cursor.next_avail)).min(self.fuel as usize);
        let avail = self.areas.avail_run(cursor.next_avail, available);
        while popped < avail.len() && (popped < want.chains || bytes < want.bytes) {
            let Some(id) = avail.load::<u16, 0>(popped) else { break };
            let Some((at, buffer, epoch)) = finder.buffer(id) else { break };
            if buffer.len() < *min_chain {
                break;
            }
            *epoch = HELD;
            bytes += pool.push_single(
                Popped { id, position: cursor.next_avail.wrapping_add(popped as u16) },
                at,
                buffer,
            );
            popped += 1;
        }
        cursor.next_avail = cursor.next_avail.wrapping_add(popped as u16);
        self.fuel -= popped as u32;
        (popped, bytes)
    }

    /// Walks a chain into the pool.
    fn walk(&mut self, popped: Popped) -> Result<(), ChainFault> {
        let ring = &mut *self.ring;
        if !ring.heads.hold(popped.id) {
            let known = ring.heads.has(popped.id);
            return Err(if known { ChainFault::Duplicate } else { ChainFault::HeadOutside });
        }
        let walk = Walk {
            areas: &self.areas,
            memory: &mut self.memory,
            size: ring.config.size,
            indirect: ring.indirect,
            access: ring.access,
            min_chain: ring.min_chain,
            fuel: &mut self.fuel,
        };
        walk.into_pool(&mut ring.pool, popped).inspect_err(|_| ring.heads.complete(popped.id))?;
        ring.hint = ring.pool.last_at();
        ring.chained = ring.access == Access::Read || !ring.pool.last_is_single();
        Ok(())
    }

    /// Writes a used entry behind those that the driver can see.
    fn stage(&mut self, id: u16, written: u32) {
        let next_used = self.ring.cursor.next_used;
        write_used(&self.areas.used_run(next_used, 1), 0, id, written);
        self.ring.cursor.next_used = next_used.wrapping_add(1);
    }

    /// Stages a chain that was held, without a frame.
    fn stage_empty(&mut self, chain: Popped) {
        self.ring.heads.complete(chain.id);
        self.ring.ledger.emptied += 1;
        self.stage(chain.id, 0);
    }
}

impl Ring for SplitTurn<'_> {
    #[inline]
    fn look(&mut self) -> Result<(), RingError> {
        let ring = &mut *self.ring;
        let index = self.areas.avail_index(Ordering::Acquire);
        // A chain comes again only once the driver has seen it come back: staged entries do not count.
        let jump = index.wrapping_sub(ring.published);
        let popped = ring.cursor.next_avail.wrapping_sub(ring.published);
        if jump < popped || jump > ring.config.size {
            let (popped, published) = (ring.cursor.next_avail, ring.published);
            let error = RingError::IndexJump { index, popped, published, size: ring.config.size };
            ring.broken = Some(error);
            return Err(error);
        }
        ring.seen = index;
        if ring.armed && index != ring.cursor.next_avail {
            self.disarm();
        }
        Ok(())
    }

    #[inline]
    fn open_lane(&mut self, frames: usize) {
        let open = self.ring.pool.free() == 0 && !self.logged;
        let available = usize::from(self.ring.seen.wrapping_sub(self.ring.cursor.next_avail));
        let len = if open { available.min(frames).min(BATCH) } else { 0 };
        self.lane = Lane::new(&self.areas, self.ring.cursor, len);
    }

    #[inline]
    fn close_lane(&mut self) -> usize {
        let placed = self.lane.shut();
        // A cursor of which a walk has just written one half is slow to read whole: not for nothing.
        if placed == 0 {
            return 0;
        }
        let cursor = &mut self.ring.cursor;
        cursor.next_avail = cursor.next_avail.wrapping_add(placed as u16);
        cursor.next_used = cursor.next_used.wrapping_add(placed as u16);
        placed
    }

    #[inline(always)]
    fn place(&mut self, header: &Header, frame: &[u8]) -> Option<usize> {
        let finder = Finder::new(&self.areas, self.memory.remembered(), self.ring.heads.batch());
        self.lane.place(finder, header, frame)
    }

    #[inline(always)]
    fn place_burst<'f, I, F>(&mut self, header: &Header, frames: &mut I, bytes: &mut u64) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let finder = Finder::new(&self.areas, self.memory.remembered(), self.ring.heads.batch());
        self.lane.place_burst(finder, header, frames, bytes)
    }

    fn reserve(&mut self, want: Want) -> Result<bool, RingError> {
        let mut bytes = if want.bytes > 0 { self.ring.pool.free_bytes() } else { 0 };
        let mut left = self.size();
        loop {
            let free = self.ring.pool.free();
            if free >= want.chains && bytes >= want.bytes {
                return Ok(true);
            }
            let spent = left == 0 || self.is_spent();
            if !spent && self.ring.cursor.next_avail == self.ring.seen {
                self.look()?;
            }
            if spent || self.ring.cursor.next_avail == self.ring.seen {
                return Ok(false);
            }
            let missing =
                Want { chains: want.chains.saturating_sub(free), bytes: want.bytes.saturating_sub(bytes) };
            let (popped, more) = if self.ring.chained { (0, 0) } else { self.pop_singles(missing) };
            left = left.saturating_sub(popped);
            bytes += more;
            if popped == 0 {
                self.pop();
                left -= 1;
                if self.ring.pool.free() > free {
                    bytes += self.ring.pool.last_capacity();
                }
            }
        }
    }

    fn has_more(&self) -> bool {
        self.ring.seen != self.ring.cursor.next_avail
    }

    fn pool(&mut self) -> &mut Pool {
        &mut self.ring.pool
    }

    fn loan(&self) -> &Pool {
        &self.ring.pool
    }

    fn log_dropped(&self, slot: Slot) {
        if self.logged {
            self.ring.pool.for_each_lent(slot, |at, len| self.memory.mark_written(at, len));
        }
    }

    fn stage_filled(&mut self) {
        if self.logged {
            self.ring.pool.for_each_written(|at, len| self.memory.mark_written(at, len));
        }
        for index in 0..self.ring.pool.filled() {
            let Some((chain, written)) = self.ring.pool.filled_chain(index) else { break };
            self.ring.heads.complete(chain.id);
            self.stage(chain.id, written);
        }
        self.ring.pool.forget_filled();
    }

    #[inline]
    fn publish(&mut self) -> u16 {
        let ring = &mut *self.ring;
        let staged = ring.cursor.next_used.wrapping_sub(ring.published);
        if staged > 0 {
            if self.logged {
                Areas::for_each_used(&ring.config, ring.published, staged, |at, len| {
                    self.memory.mark_written(at, len);
                });
            }
            // Undecided for longer than the index can count, the next answer cannot but be yes.
            let undecided =
                |decided: &u16| ring.published.wrapping_sub(*decided).checked_add(staged).is_some();
            ring.decided = ring.decided.filter(undecided);
            ring.published = ring.cursor.next_used;
            ring.ledger.entries += u64::from(staged);
            ring.heads.published();
            self.areas.publish(ring.published);
            self.log_used_header();
        }
        staged
    }

    #[inline]
    fn wants_interrupt(&mut self) -> bool {
        let ring = &mut *self.ring;
        let old = ring.decided.replace(ring.published);
        if old == Some(ring.published) {
            return false;
        }
        fence(Ordering::SeqCst);
        if !ring.event_idx {
            return self.areas.avail_flags() & AVAIL_NO_INTERRUPT == 0;
        }
        let used_event = self.areas.used_event();
        old.is_none_or(|old| crosses(used_event, old, ring.published))
    }

    fn arm(&mut self) -> bool {
        let next_avail = self.ring.cursor.next_avail;
        if self.ring.event_idx {
            self.areas.set_avail_event(next_avail);
            if self.logged {
                let RingConfig { used, size, .. } = self.ring.config;
                self.memory.mark_written(Areas::avail_event_at(used, size), 2);
            }
        } else {
            self.areas.set_used_flags(0);
            self.log_used_header();
        }
        self.ring.armed = true;
        fence(Ordering::SeqCst);
        self.areas.avail_index(Ordering::Relaxed) != next_avail
    }

    fn give_back(&mut self) {
        let mut free = self.ring.pool.take_free();
        let next = self.ring.cursor.next_avail;
        free.sort_unstable_by_key(|chain| next.wrapping_sub(chain.position));
        let is_last = |(back, chain): &(u16, &Popped)| next.wrapping_sub(chain.position) == back + 1;
        let rewound = (0..).zip(&free).take_while(is_last).count();
        for chain in free.iter().take(rewound) {
            self.ring.heads.release(chain.id);
        }
        self.ring.cursor.next_avail = next.wrapping_sub(rewound as u16);
        self.ring.ledger.given_back += rewound as u64;
        for chain in free.iter().skip(rewound) {
            self.stage_empty(*chain);
        }
    }

    fn size(&self) -> usize {
        usize::from(self.ring.config.size)
    }

    #[inline]
    fn is_spent(&self) -> bool {
        self.fuel == 0
    }

    fn broken(&self) -> Option<RingError> {
        self.ring.broken
    }

    #[inline]
    fn ledger(&self) -> Ledger {
        let ring = &*self.ring;
        let held = u64::from(ring.cursor.next_avail.wrapping_sub(ring.cursor.next_used));
        let entries = ring.ledger.entries + u64::from(ring.cursor.next_used.wrapping_sub(ring.published));
        Ledger { popped: entries + held + ring.ledger.given_back, entries, ..ring.ledger }
    }
}
