//! When the next connection has something overdue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use slab::Slab;

use crate::flow::Flow;

/// Deadlines of connections. Most are put off again and again before they come, so an entry stays where it is until
/// it is the first, and only then is looked at again.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
}

/// Not before this time: a connection by its place and its name, since places are used again.
type Entry = (Instant, u32, u64);

impl Timers {
    /// Entries of connections that are gone, at most, beside as many as there are connections.
    const STALE: usize = 64;

    /// Makes sure that there is an entry for the flow at `slot` if it has a deadline.
    pub(crate) fn follow(&mut self, flows: &mut Slab<Flow>, slot: u32) {
        let Some(flow) = flows.get_mut(slot as usize) else { return };
        let Some(deadline) = flow.conn.deadline() else { return };
        // A deadline may come closer: then the earlier entry is the one that counts.
        if flow.timer.is_none_or(|timer| timer > deadline) {
            flow.timer = Some(deadline);
            self.heap.push(Reverse((deadline, slot, flow.link.id)));
            if self.heap.len() > 2 * flows.len() + Self::STALE {
                self.heap.retain(|Reverse(entry)| is_current(flows, entry));
            }
        }
    }

    /// The first deadline of all.
    pub(crate) fn next(&mut self, flows: &mut Slab<Flow>) -> Option<Instant> {
        loop {
            let Reverse(entry) = *self.heap.peek()?;
            if is_current(flows, &entry) {
                let deadline = flows.get(entry.1 as usize).and_then(|flow| flow.conn.deadline());
                if deadline == Some(entry.0) {
                    return deadline;
                }
                self.put_off(flows, entry.1);
            }
            self.heap.pop();
            self.follow(flows, entry.1);
        }
    }

    /// A flow whose deadline is not after `now`.
    pub(crate) fn pop(&mut self, flows: &mut Slab<Flow>, now: Instant) -> Option<u32> {
        // What is not before that need not be looked at more closely.
        let due = self.heap.peek().is_some_and(|Reverse(entry)| entry.0 <= now);
        if !due || self.next(flows)? > now {
            return None;
        }
        let Reverse((_, slot, _)) = self.heap.pop()?;
        self.put_off(flows, slot);
        Some(slot)
    }

    fn put_off(&self, flows: &mut Slab<Flow>, slot: u32) {
        if let Some(flow) = flows.get_mut(slot as usize) {
            flow.timer = None;
        }
    }
}

/// Whether an entry is the one that its flow goes by.
fn is_current(flows: &Slab<Flow>, entry: &Entry) -> bool {
    flows.get(entry.1 as usize).is_some_and(|flow| flow.link.id == entry.2 && flow.timer == Some(entry.0))
}
