//! A guest on its own thread: takes interrupts, drains, refills, kicks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{FakeDriver, IrqProbe, Taken, Violation};

/// How long a guest sleeps before it looks whether an interrupt was lost. It looks for nothing else then.
const LOOK: Duration = Duration::from_secs(5);

/// When a guest posts its buffers again.
#[derive(Clone, Debug)]
pub enum Refill {
    /// At once, all of them.
    Eager,
    /// Late and in part, at random, and only before it sleeps all of them: it often starves the device.
    Starving(fastrand::Rng),
}

impl Refill {
    /// How many chains are posted next, at most, by a guest that is awake.
    pub fn chains(&mut self) -> usize {
        match self {
            Self::Eager => usize::MAX,
            Self::Starving(random) => match random.u8(..) {
                0..64 => 0,
                64..192 => random.usize(1..=4),
                192.. => usize::MAX,
            },
        }
    }
}

/// What a guest does while there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Sleeps until the next interrupt.
    Sleeps,
    /// Polls, and wants no interrupts.
    Polls,
}

/// A driver that runs as a guest would, on a thread of its own.
///
/// It sleeps on a probe. To have it sleep on another line, raise the probe's [`MockIrq`](crate::MockIrq) wherever the guest's
/// end of that line is seen to be.
#[derive(Debug)]
pub struct GuestThread {
    thread: JoinHandle<GuestReport>,
    stop: Arc<AtomicBool>,
    probe: IrqProbe,
}

/// What a guest saw.
#[derive(Debug)]
pub struct GuestReport {
    /// The driver, to go on with.
    pub driver: FakeDriver,
    /// Frames taken.
    pub frames: u64,
    /// Kicks given.
    pub kicks: u64,
    /// Interrupts slept for.
    pub sleeps: u64,
    /// Interrupts that did not come although there was a frame: how often it slept for long and found one.
    pub lost_interrupts: u64,
    /// The first violation, which ended the guest.
    pub violation: Option<Violation>,
}

impl GuestThread {
    /// Starts a guest that posts all of its buffers, then hands each frame to `each`.
    ///
    /// One guest after another may sleep on the same probe.
    pub fn spawn(
        driver: FakeDriver,
        probe: IrqProbe,
        refill: Refill,
        rest: Rest,
        kick: impl Fn() + Send + 'static,
        each: impl FnMut(&Taken) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        probe.settle();
        let report =
            GuestReport { driver, frames: 0, kicks: 0, sleeps: 0, lost_interrupts: 0, violation: None };
        let guest = Guest { report, probe: probe.clone(), refill, rest, kick, each, stop: Arc::clone(&stop) };
        Self { thread: thread::spawn(move || guest.run()), stop, probe }
    }

    /// Whether it met a violation and ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Lets it take what is there, and ends it; `None` if it panicked.
    #[must_use]
    pub fn stop(self) -> Option<GuestReport> {
        self.stop.store(true, Ordering::Release);
        self.probe.nudge();
        self.thread.join().ok()
    }
}

struct Guest<K, E> {
    report: GuestReport,
    probe: IrqProbe,
    refill: Refill,
    rest: Rest,
    kick: K,
    each: E,
    stop: Arc<AtomicBool>,
}

impl<K: Fn(), E: FnMut(&Taken)> Guest<K, E> {
    fn run(mut self) -> GuestReport {
        let mut taken = Taken::default();
        self.post(usize::MAX);
        if self.rest == Rest::Polls {
            self.report.driver.ignore_interrupts();
        }
        loop {
            let last = self.stop.load(Ordering::Acquire);
            let seen = self.probe.raised();
            match self.report.driver.drain(&mut taken, &mut self.each) {
                Ok(frames) => self.report.frames += frames as u64,
                Err(violation) => {
                    self.report.violation = Some(violation);
                    return self.report;
                }
            }
            if last {
                return self.report;
            }
            self.refill();
            self.idle(seen);
        }
    }

    /// Rests, if there is nothing to do.
    fn idle(&mut self, seen: u64) {
        if self.rest == Rest::Polls {
            std::hint::spin_loop();
        } else if !self.report.driver.want_interrupt() {
            self.post(usize::MAX);
            self.report.sleeps += 1;
            let slept_through = self.probe.wait_beyond(seen, LOOK) == seen;
            let stopped = self.stop.load(Ordering::Acquire);
            if slept_through && !stopped && self.report.driver.has_used() {
                self.report.lost_interrupts += 1;
            }
        }
    }

    fn refill(&mut self) {
        let chains = self.refill.chains();
        self.post(chains);
    }

    fn post(&mut self, chains: usize) {
        if self.report.driver.post(chains).kick {
            self.report.kicks += 1;
            (self.kick)();
        }
    }
}
