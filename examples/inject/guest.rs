//! The guest: a driver on a thread of its own, that drains, checks, refills and kicks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use netrx::RxWorkerSlot;
use netrx_mock::{FakeDriver, IrqProbe, MockMemory, Refill, Taken, Violation};

use crate::capture::Out;
use crate::irq::NotedLine;
use crate::latency::Latency;
use crate::verify::Verifier;

/// How long it sleeps before it looks whether an interrupt was lost.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) type Slot = RxWorkerSlot<MockMemory, NotedLine>;

/// A guest that is about to run.
pub(crate) struct Guest {
    pub(crate) driver: FakeDriver,
    pub(crate) probe: IrqProbe,
    /// The device, as far as a guest knows it: what it kicks.
    pub(crate) slot: Arc<Slot>,
    pub(crate) desk: Desk,
    pub(crate) habits: Habits,
    /// Set from outside: it drains once more, and ends.
    pub(crate) stop: Arc<AtomicBool>,
    /// Interrupts that did not come although there was a frame.
    pub(crate) lost_interrupts: u64,
    pub(crate) violation: Option<Violation>,
}

/// How it behaves.
pub(crate) struct Habits {
    /// It never sleeps, and wants no interrupts.
    pub(crate) poll: bool,
    pub(crate) refill: Refill,
    /// It asks for the number of dropped frames, to know which ones arrive.
    pub(crate) drops: bool,
}

/// Where frames are looked at.
pub(crate) struct Desk {
    pub(crate) verifier: Verifier,
    pub(crate) latency: Latency,
    pub(crate) out: Option<Out>,
    pub(crate) bytes: u64,
    /// When the last frame came.
    pub(crate) last: Option<Instant>,
    /// Why the capture could not be written any further.
    pub(crate) trouble: Option<anyhow::Error>,
}

impl Desk {
    fn frame(&mut self, taken: &Taken) {
        let learned = self.latency.drained(taken.chains);
        self.bytes += taken.frame.len() as u64;
        if let Some(number) = self.verifier.check(&taken.header, &taken.frame) {
            self.latency.record(number, learned);
        }
        if let Err(error) = self.write(&taken.frame) {
            (self.out, self.trouble) = (None, Some(error));
        }
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        self.out.as_mut().map_or(Ok(()), |out| out.write(frame, Instant::now()))
    }
}

impl Guest {
    /// Runs until it is stopped, or has a reason to end by itself. All its buffers are posted.
    pub(crate) fn run(mut self) -> Self {
        let mut taken = Taken::default();
        loop {
            let last = self.stop.load(Ordering::Acquire);
            let seen = self.probe.raised();
            let frames = match self.drain(&mut taken) {
                Ok(frames) => frames,
                Err(violation) => {
                    self.violation = Some(violation);
                    return self;
                }
            };
            if last || self.desk.trouble.is_some() {
                return self;
            }
            self.refill();
            self.rest(seen, frames);
        }
    }

    fn drain(&mut self, taken: &mut Taken) -> Result<usize, Violation> {
        if self.habits.poll {
            self.driver.ignore_interrupts();
        }
        self.desk.latency.look();
        let frames = self.driver.drain(taken, |taken| self.desk.frame(taken))?;
        if frames > 0 {
            self.desk.last = Some(Instant::now());
        }
        Ok(frames)
    }

    /// Sleeps until the next interrupt, if there is nothing to do.
    fn rest(&mut self, seen: u64, frames: usize) {
        if self.habits.poll {
            if frames == 0 {
                thread::yield_now();
            }
        } else if !self.driver.want_interrupt() {
            self.post(usize::MAX);
            let slept_through = self.probe.wait_beyond(seen, LOOK) == seen;
            if slept_through && self.driver.has_used() {
                self.lost_interrupts += 1;
            }
        }
    }

    fn refill(&mut self) {
        let chains = self.habits.refill.chains();
        self.post(chains);
    }

    fn post(&mut self, chains: usize) {
        self.count_drops();
        if self.driver.post(chains).kick {
            self.slot.kick();
        }
    }

    /// While nothing is posted no frame can arrive: whatever was dropped until now comes before the next one.
    fn count_drops(&mut self) {
        if self.habits.drops
            && self.driver.free() == self.driver.chains()
            && let Some(stats) = self.slot.stats()
        {
            self.desk.verifier.dropped_before(stats.frames_dropped());
        }
    }
}
