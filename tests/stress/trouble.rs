//! Sources and interrupt lines that fail under load: each end is told as what it was, and the next start goes on where
//! the last worker ended, under a guest that never notices.

#![allow(clippy::panic, reason = "a source panics where the test wants it")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Waker;
use std::time::Instant;

use netrx::ring::RingConfig;
use netrx::worker::{End, Report};
use netrx::{EngineError, FrameSource, IrqError, Received, RxConfig, RxSpace, SourceError};
use netrx_mock::{
    DriverConfig, FakeDriver, GuestThread, IrqFault, IrqProbe, MockIrq, MockMemory, Refill, Rest,
};

use super::{Load, STUCK, Seen, Setup, Slot, Tested, alone, balanced, channel, flow};

const LONG: u64 = 2_000;
const SHORT: u64 = 60;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    SourceFails,
    SourcePanics,
    SourceCloses,
    LineBreaks,
    LinePanics,
    LineIsBusy,
}

impl Trouble {
    const ALL: [Self; 6] = [
        Self::SourceFails,
        Self::SourcePanics,
        Self::SourceCloses,
        Self::LineBreaks,
        Self::LinePanics,
        Self::LineIsBusy,
    ];

    /// Makes it happen: at the source's next frames, or at the line's next interrupt.
    fn make(self, next: &Next, probe: &IrqProbe) {
        match self {
            Self::SourceFails | Self::SourcePanics | Self::SourceCloses => *next.lock() = Some(self),
            Self::LineBreaks => probe.fail([IrqFault::Broken]),
            Self::LinePanics => probe.fail([IrqFault::Panic]),
            Self::LineIsBusy => probe.fail([IrqFault::Busy; 3]),
        }
    }

    /// Whether this is how a worker ends because of it.
    fn explains(self, end: &End) -> bool {
        match (self, end) {
            (Self::SourceFails, End::Failed(EngineError::Source(SourceError::Other(_)))) => true,
            (Self::SourcePanics, End::Panicked(message)) => message == "in the middle of a batch",
            (Self::SourceCloses, End::Closed) => true,
            (Self::LineBreaks, End::Failed(EngineError::Irq(IrqError::Failed(_)))) => true,
            (Self::LinePanics, End::Panicked(message)) => message == "the line was told to panic",
            (Self::LineIsBusy, End::Stopped) => true,
            _ => false,
        }
    }
}

/// What the source is to do after its next frames.
#[derive(Clone, Default)]
struct Next(Arc<Mutex<Option<Trouble>>>);

impl Next {
    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source that fails on demand, right after it placed frames.
struct Troubled {
    inner: Box<dyn FrameSource>,
    next: Next,
}

impl FrameSource for Troubled {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let received = self.inner.recv(space)?;
        let trouble = self.next.lock().take();
        match trouble {
            Some(Trouble::SourceFails) => Err(SourceError::Other("after some frames".into())),
            Some(Trouble::SourcePanics) => std::panic::panic_any("in the middle of a batch"),
            Some(Trouble::SourceCloses) => Ok(Received::Closed),
            _ => Ok(received),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.inner.wait(until)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}

/// A worker with its troubles.
struct Victim {
    slot: Arc<Slot>,
    probe: IrqProbe,
    next: Next,
    config: RxConfig,
    ends: mpsc::Receiver<()>,
    delivered: u64,
}

impl Victim {
    fn new(driver: &FakeDriver, source: Box<dyn FrameSource>) -> Self {
        let (irq, probe) = MockIrq::new();
        let (slot, next) = (Slot::default(), Next::default());
        slot.deposit_memory(driver.memory().clone());
        slot.deposit_irq(irq);
        slot.offer_source(0, Troubled { inner: source, next: next.clone() });
        let (told, ends) = mpsc::channel();
        slot.on_end(move |_| told.send(()).unwrap_or_default());
        let (ring, features) = (driver.ring_config(), driver.features());
        let config = RxConfig { ring, features, engine: Default::default(), restored: false };
        Self { slot: Arc::new(slot), probe, next, config, ends, delivered: 0 }
    }

    /// Starts, is in trouble some frames later, and ends by it.
    fn suffer(&mut self, trouble: Trouble, seen: &Seen, guest: &GuestThread, frames: u64) -> Tested {
        self.slot.driver_ok(self.config)?;
        seen.reach(seen.frames() + frames, guest);
        trouble.make(&self.next, &self.probe);
        if let Trouble::LineIsBusy = trouble {
            seen.reach(seen.frames() + frames, guest);
        } else {
            self.ends.recv_timeout(STUCK)?;
        }
        let report = self.slot.reset()?.ok_or("its report waits")?;
        assert!(trouble.explains(&report.end), "{trouble:?} does not explain {:?}", report.end);
        self.settle(&report);
        Ok(())
    }

    fn settle(&mut self, report: &Report) {
        balanced(report);
        self.delivered += report.stats.frames_delivered;
        self.config.ring = RingConfig { start: report.cursor, ..self.config.ring };
        self.config.restored = true;
    }
}

fn troubles(load: Load, setup: &Setup) -> Tested {
    println!("{setup:?}");
    let mut random = fastrand::Rng::with_seed(load.seed);
    let memory = MockMemory::heap(&[1 << 15, 1 << 15]);
    let driver = FakeDriver::new(&memory, DriverConfig::new(32, setup.features, setup.shape.clone()))?;
    let (source, mut send) = channel();
    let mut victim = Victim::new(&driver, source);
    let over = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&over);
    let sender =
        flow::send_all(u64::MAX, Box::new(move |frame| !stopped.load(Ordering::Acquire) && send(frame)));
    let seen = Seen::default();
    let (kicked, each) = (Arc::clone(&victim.slot), seen.clone());
    let guest = GuestThread::spawn(
        driver,
        victim.probe.clone(),
        Refill::Starving(random.fork()),
        Rest::Sleeps,
        move || kicked.kick(),
        move |taken| each.check(taken),
    );
    for cycle in 0..load.cycles {
        let trouble = Trouble::ALL[random.usize(..Trouble::ALL.len())];
        let suffered = victim.suffer(trouble, &seen, &guest, random.u64(1..100));
        suffered.map_err(|error| format!("cycle {cycle}, {trouble:?}: {error}"))?;
    }
    let guest = guest.stop().ok_or("the guest panicked")?;
    assert_eq!((guest.violation, guest.lost_interrupts), (None, 0));
    assert_eq!((seen.wrong(), seen.frames()), (None, victim.delivered), "every frame was seen");
    guest.driver.audit()?;
    over.store(true, Ordering::Release);
    drop(victim);
    assert!(sender.join().is_ok());
    Ok(())
}

#[test]
#[ignore = "2,000 ends"]
fn troubles_long() -> Tested {
    let _alone = alone();
    troubles(Load::of(0, LONG), &Setup::usual())
}

#[test]
fn troubles_short() -> Tested {
    let _alone = alone();
    Setup::all().iter().try_for_each(|setup| troubles(Load::of(0, SHORT), setup))
}
