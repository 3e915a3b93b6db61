//! A receive device, written to be read: frames and chains in two queues, one of each at a time.

use std::collections::VecDeque;

use netrx::ring::Cursor;
use netrx::spec::MIN_FRAME;
use netrx::{DropReason, Features, FrameMeta, Gpa};

use crate::header;
use crate::queue::{Broken, Chain, Popped, Queue};

/// A frame on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is known of it.
    pub meta: FrameMeta,
}

/// How a device behaves, beside what the driver decides.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What the driver acknowledged.
    pub features: Features,
    /// The longest frame it expects, if it reads its frames instead of having them: then it looks for room first.
    pub reads: Option<usize>,
    /// Frames that find no room are dropped.
    pub drops: bool,
    /// Units of work in a turn: frames, and chains that are of no use.
    pub budget: u32,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the guest, in so many chains.
    Delivered(u16),
    /// It was dropped.
    Dropped(DropReason),
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The budget is spent.
    More,
    /// No frame is left.
    Idle,
    /// A frame has no room.
    Starved,
    /// The ring makes no sense.
    Broken,
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How it ended.
    pub ending: Ending,
    /// Whether the guest was interrupted.
    pub interrupt: bool,
    /// What became of the frames, in their order.
    pub fates: Vec<Fate>,
}

/// A receive device over a queue.
pub struct Device {
    queue: Box<dyn Queue>,
    manner: Manner,
    /// Chains that were popped and wait for frames.
    held: VecDeque<Held>,
    asked_for_kicks: bool,
    owes_interrupt: bool,
    broken: bool,
    rejected: u64,
}

/// A chain that waits for frames.
struct Held {
    head: u16,
    chain: Chain,
    /// Where it stood among the available ones.
    position: u16,
}

/// What became of the frame in front.
enum Placed {
    Gone(Fate),
    NoRoom,
}

/// What a round over the frames came to.
struct Round {
    placed: u32,
    empty: bool,
    full: bool,
}

impl Device {
    /// A device over `queue`.
    pub fn new(queue: impl Queue + 'static, manner: Manner) -> Self {
        Self {
            queue: Box::new(queue),
            manner,
            held: VecDeque::new(),
            asked_for_kicks: true,
            owes_interrupt: false,
            broken: false,
            rejected: 0,
        }
    }

    /// Its queue.
    pub fn queue(&mut self) -> &mut dyn Queue {
        &mut *self.queue
    }

    /// How many chains it holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many chains it found to be of no use.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Moves frames into the guest.
    pub fn poll(&mut self, frames: &mut VecDeque<Frame>) -> Turn {
        let mut turn = Turn { ending: Ending::Broken, interrupt: false, fates: Vec::new() };
        if !self.broken {
            turn.ending = self.run(frames, &mut turn).unwrap_or(Ending::Broken);
            self.broken = turn.ending == Ending::Broken;
        }
        turn
    }

    fn run(&mut self, frames: &mut VecDeque<Frame>, turn: &mut Turn) -> Result<Ending, Broken> {
        let mut budget = self.manner.budget;
        let mut discard = false;
        loop {
            // One that reads comes back for each frame; one that has its frames goes on for as long as it may.
            let one = self.manner.reads.is_some() || (discard && !self.held.is_empty());
            let limit = if one { 1 } else { budget.max(1) };
            if self.queue.look()? && self.asked_for_kicks {
                self.asked_for_kicks = false;
                self.queue.want_kicks(false);
            }
            let before = self.rejected;
            let round = self.place_frames(frames, limit, discard, &mut turn.fates);
            if self.queue.publish() || self.owes_interrupt {
                self.owes_interrupt |= self.queue.wants_interrupt();
            }
            if self.broken {
                return Err(Broken);
            }
            turn.interrupt |= std::mem::take(&mut self.owes_interrupt);
            let bad = u32::try_from(self.rejected - before).unwrap_or(u32::MAX);
            budget = budget.saturating_sub(round.placed + bad);
            if round.empty {
                return Ok(Ending::Idle);
            }
            if budget == 0 || (round.placed == 0 && !round.full) {
                return Ok(Ending::More);
            }
            discard = round.full && self.manner.drops;
            if round.full && !discard {
                self.asked_for_kicks = true;
                self.queue.want_kicks(true);
                if !self.queue.has_more() {
                    return Ok(Ending::Starved);
                }
                budget = budget.saturating_sub(1);
            }
        }
    }

    fn place_frames(
        &mut self,
        frames: &mut VecDeque<Frame>,
        limit: u32,
        discard: bool,
        fates: &mut Vec<Fate>,
    ) -> Round {
        let mut round = Round { placed: 0, empty: false, full: false };
        while let Some(frame) = frames.front() {
            if round.placed == limit {
                return round;
            }
            let Placed::Gone(fate) = self.place(frame, discard) else {
                round.full = true;
                return round;
            };
            fates.push(fate);
            frames.pop_front();
            round.placed += 1;
        }
        // One that reads does not know yet that it has read the last.
        round.empty = self.manner.reads.is_none() || round.placed == 0;
        round
    }

    /// Finds room for a frame and writes it there.
    fn place(&mut self, frame: &Frame, discard: bool) -> Placed {
        let dropped = |reason| Placed::Gone(Fate::Dropped(reason));
        if discard {
            return dropped(DropReason::RingFull);
        }
        let need = header::len(self.manner.features) + frame.bytes.len();
        match self.manner.reads {
            Some(largest) => {
                self.find_room(header::len(self.manner.features) + largest);
                let long = self.judge_room(need);
                if !matches!(long, Some(Placed::NoRoom)) {
                    self.read_in(frame);
                }
                long.or_else(|| self.judge_frame(frame)).unwrap_or_else(|| self.deliver(frame))
            }
            None => self.judge_frame(frame).unwrap_or_else(|| {
                self.find_room(need);
                self.judge_room(need).unwrap_or_else(|| self.deliver(frame))
            }),
        }
    }

    /// A frame that is read is in the chains before anyone looks at it; where it may not span chains, it may be cut.
    fn read_in(&mut self, frame: &Frame) {
        let merges = header::merges(self.manner.features);
        let mut skip = header::len(self.manner.features);
        let need = skip + frame.bytes.len();
        if merges && self.held_bytes() < need {
            return;
        }
        let mut rest = frame.bytes.as_slice();
        let chains = if merges { self.held.len() } else { 1 };
        for (at, len) in self.held.iter().take(chains).flat_map(|held| &held.chain.buffers) {
            let header = skip.min(*len as usize);
            skip -= header;
            let (here, after) = rest.split_at(rest.len().min(*len as usize - header));
            self.queue.write(Gpa(at.0.wrapping_add(header as u64)), here);
            rest = after;
        }
    }

    /// Drops a frame that no driver with these features would take.
    fn judge_frame(&self, frame: &Frame) -> Option<Placed> {
        let len = frame.bytes.len();
        let reason = match header::bytes(self.manner.features, &frame.meta, len, 1) {
            _ if len < MIN_FRAME => DropReason::Runt,
            None => DropReason::Offload,
            Some(_) => return None,
        };
        Some(Placed::Gone(Fate::Dropped(reason)))
    }

    /// Drops a frame that can never fit; keeps one that does not fit now.
    fn judge_room(&self, need: usize) -> Option<Placed> {
        let room = match self.held.front() {
            None => return Some(Placed::NoRoom),
            Some(held) if !header::merges(self.manner.features) => held.chain.capacity(),
            Some(_) => self.held_bytes(),
        };
        if room >= need {
            return None;
        }
        let entries = || self.held.iter().map(|held| held.chain.entries);
        let left = self.queue.size().saturating_sub(entries().sum());
        let never = !header::merges(self.manner.features) || entries().all(|entries| entries > left);
        Some(if never { Placed::Gone(Fate::Dropped(DropReason::TooLong)) } else { Placed::NoRoom })
    }

    fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.chain.capacity()).sum()
    }

    /// Pops chains until they hold `bytes`, or there is one where frames do not span chains, or there are no more: at
    /// most as many as the queue has.
    fn find_room(&mut self, bytes: usize) {
        let merges = header::merges(self.manner.features);
        let shortest = header::len(self.manner.features) + if merges { 0 } else { MIN_FRAME };
        for _ in 0..self.queue.size() {
            if !self.held.is_empty() && (!merges || self.held_bytes() >= bytes) {
                return;
            }
            let popped = match self.queue.pop() {
                Ok(Some(popped)) => popped,
                Ok(None) => return,
                Err(Broken) => {
                    self.broken = true;
                    return;
                }
            };
            match popped {
                Popped { head, chain: Some(chain) } if chain.capacity() >= shortest => {
                    let position = self.queue.cursor().next_avail.wrapping_sub(1);
                    self.held.push_back(Held { head, chain, position });
                }
                useless => {
                    self.rejected += 1;
                    self.queue.reject(&useless);
                }
            }
        }
    }

    /// Writes a frame over as many of the held chains as it takes.
    fn deliver(&mut self, frame: &Frame) -> Placed {
        let need = header::len(self.manner.features) + frame.bytes.len();
        let mut room = 0;
        let chains = self.held.iter().take_while(|held| {
            let short = room < need;
            room += held.chain.capacity();
            short
        });
        let chains = chains.count();
        let header = header::bytes(self.manner.features, &frame.meta, frame.bytes.len(), chains as u16);
        let mut bytes = header.unwrap_or_default();
        // A frame that was read is there already: only the header is missing.
        let mut unwritten = if self.manner.reads.is_some() { bytes.len() } else { need };
        bytes.extend_from_slice(&frame.bytes);
        let mut rest = bytes.as_slice();
        let mut used = Vec::new();
        for Held { head, chain, .. } in self.held.drain(..chains) {
            let before = rest.len();
            for (at, len) in chain.buffers {
                let (here, after) = rest.split_at(rest.len().min(len as usize));
                let now = unwritten.min(here.len());
                self.queue.write(at, &here[..now]);
                unwritten -= now;
                rest = after;
            }
            used.push((head, (before - rest.len()) as u32));
        }
        for (head, written) in used {
            self.queue.complete(head, written);
        }
        Placed::Gone(Fate::Delivered(chains as u16))
    }

    /// Ends: the chains that were popped last are available again, any others are completed with length 0.
    pub fn end(&mut self) -> End {
        let mut cursor = self.queue.cursor();
        let mut emptied = 0;
        if self.broken {
            return End { cursor, emptied, interrupt: false };
        }
        while let Some(Held { head, position, .. }) = self.held.pop_back() {
            if emptied == 0 && position == cursor.next_avail.wrapping_sub(1) {
                cursor.next_avail = position;
            } else {
                self.queue.complete(head, 0);
                emptied += 1;
            }
        }
        cursor.next_used = self.queue.cursor().next_used;
        let published = self.queue.publish();
        let interrupt = self.owes_interrupt || (published && self.queue.wants_interrupt());
        End { cursor, emptied, interrupt }
    }

    /// Begins again where `cursor` says, owing the guest an interrupt.
    pub fn restart(&mut self, cursor: Cursor) {
        self.queue.restart(cursor);
        self.asked_for_kicks = true;
        self.owes_interrupt = true;
    }
}

/// What the end of a device came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Where it stands.
    pub cursor: Cursor,
    /// Chains completed with length 0.
    pub emptied: u64,
    /// Whether the guest was interrupted.
    pub interrupt: bool,
}
