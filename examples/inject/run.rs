//! One run: start everything, wait for the end, take it apart again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use netrx::engine::{EngineConfig, WhenFull};
use netrx::worker::Report as Worked;
use netrx::{IrqLine, RxConfig};
use netrx_mock::{FakeDriver, IrqProbe, MockIrq, Refill};

use crate::args::Plan;
use crate::feed::{Feed, Make, Order};
use crate::guest::{Desk, Guest, Habits, Slot};
use crate::irq::Raises;
use crate::latency::{Latency, Stamps};
use crate::machine::Machine;
use crate::progress::Progress;
use crate::report::Run;
use crate::verify::Verifier;

/// How often the main thread looks. Nothing else waits for it.
const TICK: Duration = Duration::from_millis(20);
/// So many looks in a row without a frame, and something is stuck.
const STUCK: u32 = 500;

/// Something ended.
enum Event {
    Sending,
    Worker,
    Guest,
}

/// Everything that runs.
struct Running {
    slot: Arc<Slot>,
    stamps: Arc<Stamps>,
    halt: Arc<AtomicBool>,
    stop_guest: Arc<AtomicBool>,
    probe: IrqProbe,
    guest: JoinHandle<Guest>,
    sender: Option<JoinHandle<()>>,
    happened: Receiver<Event>,
}

/// Runs the plan to its end, or until `halt` is set: then the sending ends, and what is on its way still arrives.
pub(crate) fn run(mut plan: Plan, feed: Make, halt: Arc<AtomicBool>) -> Result<Run> {
    let stamps = Arc::new(Stamps::new());
    let machine = Machine::new(&plan)?;
    let buffer = machine.buffer;
    let feed = feed(plan.source, order(&plan, &stamps, &halt))?;
    let running = start(&mut plan, machine, feed, Arc::clone(&stamps), halt)?;
    let stuck = running.wait(Progress::new(plan.quota, stamps.begin())?);
    let (worked, mut guest) = running.end()?;
    if let Some(trouble) = guest.desk.trouble.take() {
        return Err(trouble.context("cannot write what the guest got"));
    }
    if let Some(out) = guest.desk.out.take() {
        out.finish().context("cannot write what the guest got")?;
    }
    Ok(Run { plan, buffer, stamps, worked, guest, stuck })
}

fn start(
    plan: &mut Plan,
    mut machine: Machine,
    feed: Feed,
    stamps: Arc<Stamps>,
    halt: Arc<AtomicBool>,
) -> Result<Running> {
    let (events, happened) = mpsc::channel();
    let stop_guest = Arc::new(AtomicBool::new(false));
    let slot = Arc::new(Slot::new("inject-worker"));
    slot.deposit_memory(machine.memory);
    slot.deposit_irq(machine.line);
    slot.offer_source(0, feed.source);
    slot.on_end(telling(&events, || Event::Worker));
    // A kick is for a device that is running; this one looks into the ring first.
    machine.driver.post(usize::MAX);
    slot.driver_ok(config(plan, &machine.driver))?;
    let guest = Guest {
        driver: machine.driver,
        probe: machine.probe.clone(),
        slot: Arc::clone(&slot),
        desk: desk(plan, &stamps, machine.raises),
        habits: habits(plan),
        stop: Arc::clone(&stop_guest),
        lost_interrupts: 0,
        violation: None,
    };
    let guest = spawn("inject-guest", &events, || Event::Guest, move || guest.run())?;
    let sender =
        feed.send.map(|send| spawn("inject-sender", &events, || Event::Sending, send)).transpose()?;
    Ok(Running { slot, stamps, halt, stop_guest, probe: machine.probe, guest, sender, happened })
}

fn order(plan: &Plan, stamps: &Arc<Stamps>, halt: &Arc<AtomicBool>) -> Order {
    let (traffic, quota) = (Arc::clone(&plan.traffic), plan.quota);
    Order { traffic, quota, stamps: Arc::clone(stamps), halt: Arc::clone(halt) }
}

/// What the driver and the user decide about the queue.
fn config(plan: &Plan, driver: &FakeDriver) -> RxConfig {
    let engine = EngineConfig { when_full: plan.when_full, ..EngineConfig::default() };
    RxConfig { ring: driver.ring_config(), features: driver.features(), engine, restored: false }
}

fn desk(plan: &mut Plan, stamps: &Arc<Stamps>, raises: Raises) -> Desk {
    let verifier = Verifier::new(Arc::clone(&plan.traffic), Arc::clone(stamps));
    let latency = Latency::new(Arc::clone(stamps), raises);
    Desk { verifier, latency, out: plan.out.take(), bytes: 0, last: None, trouble: None }
}

fn habits(plan: &Plan) -> Habits {
    let starving = |seed| Refill::Starving(fastrand::Rng::with_seed(seed));
    let refill = plan.seed.map_or(Refill::Eager, starving);
    Habits { poll: plan.poll, refill, drops: plan.when_full == WhenFull::DropNewest }
}

fn telling<T>(events: &Sender<Event>, event: fn() -> Event) -> impl FnMut(&T) + Send + 'static {
    let events = events.clone();
    move |_| {
        let _ = events.send(event());
    }
}

/// Starts a thread that tells when it has ended.
fn spawn<T: Send + 'static>(
    name: &str,
    events: &Sender<Event>,
    event: fn() -> Event,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let mut tell = telling(events, event);
    let body = move || {
        let value = body();
        tell(&value);
        value
    };
    thread::Builder::new().name(name.into()).spawn(body).context("cannot start a thread")
}

impl Running {
    /// Waits until every frame that was sent is accounted for; `true` if something was stuck instead.
    fn wait(&self, progress: Progress) -> bool {
        let (mut taken, mut idle, mut sending) = (0, 0, true);
        loop {
            match self.happened.recv_timeout(TICK) {
                Ok(Event::Sending) => sending = false,
                Ok(Event::Worker | Event::Guest) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let Some(stats) = self.slot.stats() else { return false };
            progress.show(stats.frames_taken, stats.frames_dropped());
            if !sending && stats.frames_taken == self.stamps.sent() {
                return false;
            }
            idle = if stats.frames_taken == taken { idle + 1 } else { 0 };
            taken = stats.frames_taken;
            if idle == STUCK {
                return true;
            }
        }
    }

    /// Ends the worker, then the guest, which drains first, then the sender, which has nobody to send to.
    fn end(self) -> Result<(Worked, Guest)> {
        self.halt.store(true, Ordering::Relaxed);
        let stopped = self.slot.stop()?.context("the worker vanished")?;
        drop(stopped.source);
        self.stop_guest.store(true, Ordering::Release);
        MockIrq::to(&self.probe).raise()?;
        let guest = self.guest.join().map_err(|_| anyhow!("the guest panicked"))?;
        if let Some(sender) = self.sender {
            sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        }
        Ok((stopped.report, guest))
    }
}

/// From the first frame's sending to the last one's arrival.
pub(crate) fn duration(stamps: &Stamps, last: Option<Instant>) -> Duration {
    let end = last.into_iter().chain(stamps.last()).max();
    end.map_or(Duration::ZERO, |end| end.saturating_duration_since(stamps.begin()))
}
