//! Stops, starts and resets under load: nothing writes after a stop, no frame is lost over it, nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netrx::ring::RingConfig;
use netrx::worker::{End, Report};
use netrx::{FrameSource, RxConfig};
use netrx_mock::{DriverConfig, FakeDriver, GuestThread, IrqProbe, MockIrq, MockMemory, Refill, Rest, Taken};

use super::{Load, STUCK, Seen, Send, Setup, Slot, Tested, alone, balanced, channel, flow};

const LONG: u64 = 1_000;
const SHORT: u64 = 40;

/// The name of the worker's thread.
const NAME: &str = "netrx-cycles";

/// A machine that is started and stopped again and again.
struct Machine {
    slot: Arc<Slot>,
    memory: MockMemory,
    probe: IrqProbe,
    setup: Setup,
    /// The guest's driver, while the guest is paused.
    driver: FakeDriver,
    config: RxConfig,
    seen: Seen,
    delivered: u64,
    random: fastrand::Rng,
}

impl Machine {
    fn new(
        setup: &Setup,
        source: Box<dyn FrameSource>,
        seed: u64,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let memory = MockMemory::heap(&[1 << 15, 1 << 15]);
        let (driver, config) = boot(&memory, setup)?;
        let (irq, probe) = MockIrq::new();
        let slot = Arc::new(Slot::new(NAME));
        slot.deposit_memory(memory.clone());
        slot.deposit_irq(irq);
        slot.offer_source(0, source);
        let random = fastrand::Rng::with_seed(seed);
        let (seen, setup) = (Seen::default(), setup.clone());
        Ok(Self { slot, memory, probe, setup, driver, config, seen, delivered: 0, random })
    }

    /// Runs for a moment, stops, and watches that nothing is written any more.
    fn cycle(mut self) -> Result<Self, Box<dyn std::error::Error>> {
        self.slot.driver_ok(self.config)?;
        let (kicked, each) = (Arc::clone(&self.slot), self.seen.clone());
        let refill = Refill::Starving(self.random.fork());
        let guest = GuestThread::spawn(
            self.driver,
            self.probe.clone(),
            refill,
            Rest::Sleeps,
            move || kicked.kick(),
            move |taken| each.check(taken),
        );
        // Every fourth time it is stopped before anything can have happened.
        let frames = if self.random.u8(..4) == 0 { 0 } else { self.random.u64(1..300) };
        let (enough, begin) = (self.seen.frames() + frames, Instant::now());
        while self.seen.frames() < enough && !guest.has_ended() {
            std::thread::yield_now();
            assert!(begin.elapsed() < STUCK, "stuck at frame {} of {enough}", self.seen.frames());
        }
        // In one order the worker is stopped under full load, in the other it may be asleep for want of room.
        let (report, guest) = if self.random.bool() {
            let guest = guest.stop();
            (stop(&self.slot, &mut self.random)?, guest)
        } else {
            (stop(&self.slot, &mut self.random)?, guest.stop())
        };
        let before = contents(&self.memory);
        std::thread::sleep(Duration::from_micros(self.random.u64(0..300)));
        assert!(before == contents(&self.memory), "written after the stop");

        let guest = guest.ok_or("the guest panicked")?;
        assert_eq!((guest.violation, guest.lost_interrupts), (None, 0));
        self.driver = guest.driver;
        let seen = self.seen.clone();
        self.driver.drain(&mut Taken::default(), |taken| seen.check(taken))?;
        self.settle(&report)?;
        Ok(self)
    }

    /// Checks the ledgers, and decides how it goes on: where it stopped, or after a reset.
    fn settle(&mut self, report: &Report) -> Tested {
        balanced(report);
        assert!(matches!(report.end, End::Stopped), "{:?}", report.end);
        self.delivered += report.stats.frames_delivered;
        assert_eq!((self.seen.wrong(), self.seen.frames()), (None, self.delivered), "every frame was seen");
        if self.random.bool() {
            (self.driver, self.config) = boot(&self.memory, &self.setup)?;
        } else {
            self.config.ring = RingConfig { start: report.cursor, ..self.config.ring };
            self.config.restored = true;
        }
        Ok(())
    }
}

/// A guest boots in that memory.
fn boot(memory: &MockMemory, setup: &Setup) -> Result<(FakeDriver, RxConfig), Box<dyn std::error::Error>> {
    let driver = FakeDriver::new(memory, DriverConfig::new(32, setup.features, setup.shape.clone()))?;
    let (ring, features) = (driver.ring_config(), setup.features);
    Ok((driver, RxConfig { ring, features, engine: Default::default(), restored: false }))
}

/// By a stop that hands the source out, or a reset that keeps it.
fn stop(slot: &Slot, random: &mut fastrand::Rng) -> Result<Report, Box<dyn std::error::Error>> {
    if random.bool() {
        return Ok(slot.reset()?.ok_or("a worker ran")?);
    }
    let stopped = slot.stop()?.ok_or("a worker ran")?;
    slot.offer_source(0, stopped.source);
    Ok(stopped.report)
}

/// Every byte of the guest's memory.
fn contents(memory: &MockMemory) -> Vec<u8> {
    let mut all = Vec::new();
    for &(start, len) in memory.regions() {
        let from = all.len();
        all.resize(from + len, 0);
        let copied = memory.slice(start, len).map(|slice| slice.copy_to(&mut all[from..]));
        assert_eq!(copied, Ok(len));
    }
    all
}

/// Descriptors that this process has open; `None` where the system does not tell.
fn descriptors() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// Threads of this process that have the worker's name.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == NAME).count()
}

/// Runs the cycles while somebody sends without a pause.
fn cycles(load: Load, setup: &Setup, source: Box<dyn FrameSource>, mut send: Send) -> Tested {
    println!("{setup:?}");
    let over = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&over);
    let sender =
        flow::send_all(u64::MAX, Box::new(move |frame| !stopped.load(Ordering::Acquire) && send(frame)));
    let mut machine = Machine::new(setup, source, load.seed)?;
    for cycle in 0..load.cycles {
        machine = machine.cycle().map_err(|error| format!("cycle {cycle}: {error}"))?;
    }
    machine.driver.audit()?;
    over.store(true, Ordering::Release);
    drop(machine);
    assert!(sender.join().is_ok());
    Ok(())
}

/// Runs `work`, and waits until it has left neither a descriptor nor a worker's thread.
fn leaves_nothing(work: impl FnOnce() -> Tested) -> Tested {
    let before = descriptors();
    work()?;
    let begin = Instant::now();
    while (descriptors(), workers()) != (before, 0) {
        assert!(
            begin.elapsed() < STUCK,
            "{:?} of {before:?} descriptors, {} workers",
            descriptors(),
            workers()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn channel_cycles(cycles_each: u64, setups: &[Setup]) -> Tested {
    let _alone = alone();
    leaves_nothing(|| {
        setups.iter().try_for_each(|setup| {
            let (source, send) = channel();
            cycles(Load::of(0, cycles_each), setup, source, send)
        })
    })
}

#[test]
#[ignore = "1,000 cycles"]
fn channel_long() -> Tested {
    channel_cycles(LONG, &[Setup::usual()])
}

#[test]
fn channel_short() -> Tested {
    channel_cycles(SHORT, &Setup::all())
}

#[cfg(unix)]
fn socketpair_cycles(cycles_each: u64, setups: &[Setup]) -> Tested {
    let _alone = alone();
    leaves_nothing(|| {
        setups.iter().try_for_each(|setup| {
            let (source, send) = super::socketpair()?;
            cycles(Load::of(0, cycles_each), setup, source, send)
        })
    })
}

#[cfg(unix)]
#[test]
#[ignore = "1,000 cycles"]
fn socketpair_long() -> Tested {
    socketpair_cycles(LONG, &[Setup::usual()])
}

#[cfg(unix)]
#[test]
fn socketpair_short() -> Tested {
    socketpair_cycles(SHORT, &Setup::all())
}
