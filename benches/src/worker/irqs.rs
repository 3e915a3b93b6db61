//! Bench `irqs`: interrupts per 100,000 frames at full load, where all frames wait in the channel before worker and guest
//! start, and while a producer pushes them as fast as it can, which may be slower than the worker takes them: a worker that finds
//! no more frames has to decide whether to interrupt at once or to gather some first.
//!
//! The guest behaves as Linux's driver does (NAPI): an interrupt wakes it, it polls in rounds of 64 frames,
//! posting the buffers again after each, and only when a round finds fewer does it ask for the next
//! interrupt, look once more, and sleep. With a frame it does no more than that, and so is done with a ring before any worker
//! has filled it again; or it is busy with each for a while, and then a worker that is quicker has no reason to interrupt it.
//! Frames carry a number, so that lost ones are seen: a subject that loses frames is not faster for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{IrqProbe, Kick, Rig, Start, Worker, channel, netrx, predecessor};
use crate::Result;
use crate::cli::Effort;
use crate::guest::{Driver, HEADER_LEN};
use crate::peer::Peer;
use crate::probe;
use crate::report::Report;
use crate::rounds::Series;

/// The subjects.
const WORKERS: [(Peer, Start); 3] = [
    (Peer::Netrx, netrx::start),
    (Peer::NetrxAdaptive, netrx::start_adaptive),
    (Peer::Predecessor, predecessor::start),
];

/// What is measured: how long the frames are, how they come, and how long the guest is busy with each.
struct Case {
    name: &'static str,
    size: usize,
    supply: Supply,
    work: Duration,
}

const CASES: [Case; 6] = [
    Case::idle("60 B", 60, Supply::Waiting),
    Case::idle("1514 B", 1514, Supply::Waiting),
    Case { work: BUSY, ..Case::idle("60 B, busy guest", 60, Supply::Waiting) },
    Case { work: BUSY, ..Case::idle("1514 B, busy guest", 1514, Supply::Waiting) },
    Case::idle("60 B, pushed", 60, Supply::Pushed),
    Case::idle("1514 B, pushed", 1514, Supply::Pushed),
];

/// A little more than reading a datagram from a socket takes on the machines of the README: a guest's stack does that, too.
const BUSY: Duration = Duration::from_nanos(500);

impl Case {
    /// With a guest that is busy with nothing.
    const fn idle(name: &'static str, size: usize, supply: Supply) -> Self {
        Self { name, size, supply, work: Duration::ZERO }
    }
}

/// Where the frames are when the guest starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// All in the channel.
    Waiting,
    /// None anywhere yet.
    Pushed,
}

const NAPI_BUDGET: usize = 64;
/// Where the number is in a frame: after addresses and type.
const NUMBER_AT: usize = 14;

/// What one subject did in one round.
struct Outcome {
    irqs_per_100k: f64,
    lost_per_100k: f64,
    frames_per_second: f64,
}

/// Measures all workers, with small and large frames, in rounds in which the cores held still.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    for case in CASES {
        let name = case.name;
        let (mut outcomes, mut probes) = (Vec::new(), Vec::new());
        for round in 0..effort.worker_rounds {
            eprintln!("irqs: {name}, round {} of {} ...", round + 1, effort.worker_rounds);
            if let Some((outcome, probe)) =
                probe::bracketed(|| all_in_turn(round, &case, effort.load_frames))?
            {
                outcomes.push(outcome);
                probes.push(probe);
            }
        }
        add(report, name, "irqs/100k frames", &outcomes, |o| o.irqs_per_100k);
        add(report, name, "lost/100k frames", &outcomes, |o| o.lost_per_100k);
        add(report, name, "frames/s", &outcomes, |o| o.frames_per_second);
        let probes = [Series { peer: Peer::Floor, values: probes }];
        report.add("irqs", name, "ns, cache line there and back", &probes);
    }
    Ok(())
}

fn all_in_turn(round: usize, case: &Case, frames: u64) -> Result<Vec<(Peer, Outcome)>> {
    let mut outcomes = Vec::new();
    for place in 0..WORKERS.len() {
        let (peer, start) = WORKERS[(round + place) % WORKERS.len()];
        outcomes.extend(turn(start, case, frames)?.map(|outcome| (peer, outcome)));
    }
    Ok(outcomes)
}

fn add(
    report: &mut Report,
    case: &str,
    unit: &str,
    rounds: &[Vec<(Peer, Outcome)>],
    figure: impl Fn(&Outcome) -> f64,
) {
    let of = |peer| {
        let outcomes = rounds.iter().flatten().filter(move |(who, _)| *who == peer);
        Series { peer, values: outcomes.map(|(_, outcome)| figure(outcome)).collect() }
    };
    let series: Vec<Series> = WORKERS.iter().map(|(peer, _)| of(*peer)).collect();
    let present: Vec<Series> = series.into_iter().filter(|s| !s.values.is_empty()).collect();
    report.add("irqs", case, unit, &present);
}

fn turn(start: Start, case: &Case, frames: u64) -> Result<Option<Outcome>> {
    let Case { size, supply, work, .. } = *case;
    let (channel, waiting) = match supply {
        Supply::Waiting => (crossbeam_channel::bounded(frames as usize), frames),
        Supply::Pushed => (channel(), 0),
    };
    (0..waiting).try_for_each(|number| channel.0.send(numbered(number, size)))?;
    let done = AtomicBool::new(false);
    let ran = thread::scope(|scope| -> Result<_> {
        let (hand, started) = mpsc::channel();
        let done = &done;
        let guest = scope.spawn(move || -> Result<u64> {
            // The worker starts on the guest's thread, so that there is no time in which it meets a guest that does not run.
            let Some(Rig { driver, irq, kick, worker }) = Rig::start(start, size, channel)? else {
                return Ok(0);
            };
            irq.wakes(thread::current());
            hand.send(Started { worker, irq, at: Instant::now() })
                .map_err(|_| "nobody waits for the worker")?;
            Guest { driver, kick, work, next: 0, received: 0, misplaced: 0 }.run(done)
        });
        let worked = match started.recv() {
            Ok(Started { worker, irq, at }) => {
                let sent = (waiting..frames).try_for_each(|number| worker.send(numbered(number, size)));
                sent.and(worker.finish()).map(|()| Some((irq, at.elapsed())))
            }
            Err(_) => Ok(None),
        };
        done.store(true, Ordering::Release);
        guest.thread().unpark();
        let received = guest.join().map_err(|_| "the guest's thread panicked")??;
        worked.map(|worked| worked.map(|(irq, took)| (irq, took, received)))
    })?;
    let Some((irq, took, received)) = ran else { return Ok(None) };
    let per_100k = |count: u64, of: u64| count as f64 * 100_000.0 / of.max(1) as f64;
    Ok(Some(Outcome {
        irqs_per_100k: per_100k(irq.count(), received),
        lost_per_100k: per_100k(frames - received, frames),
        frames_per_second: received as f64 / took.as_secs_f64(),
    }))
}

/// A worker that runs, its interrupt line, and since when.
struct Started {
    worker: Box<dyn Worker>,
    irq: Arc<IrqProbe>,
    at: Instant,
}

/// A frame that carries its number.
fn numbered(number: u64, size: usize) -> Vec<u8> {
    let mut frame = vec![0; size];
    frame[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&number.to_le_bytes());
    frame
}

/// The driver on its own thread.
struct Guest {
    driver: Driver,
    kick: Kick,
    work: Duration,
    next: u64,
    received: u64,
    misplaced: u64,
}

impl Guest {
    /// Polls and sleeps until `done` and nothing is left; gives the number of frames that came.
    fn run(mut self, done: &AtomicBool) -> Result<u64> {
        loop {
            let last = done.load(Ordering::Acquire);
            while self.poll() == NAPI_BUDGET || self.driver.arm() {}
            if last {
                break;
            }
            thread::park();
        }
        match self.misplaced {
            0 => Ok(self.received),
            n => Err(format!("{n} frames came twice or out of order").into()),
        }
    }

    /// One round of NAPI: takes frames up to the budget, and posts their buffers again.
    fn poll(&mut self) -> usize {
        let mut taken = 0;
        while taken < NAPI_BUDGET
            && let Some(used) = self.driver.take()
        {
            self.look_at(used.head);
            self.driver.put(used.head);
            taken += 1;
        }
        if taken > 0 && self.driver.publish() {
            (self.kick)();
        }
        taken
    }

    fn look_at(&mut self, head: u16) {
        let mut number = [0; 8];
        let at = self.driver.layout().buffer(head) + (HEADER_LEN + NUMBER_AT) as u64;
        self.driver.ram().read(at, &mut number);
        let number = u64::from_le_bytes(number);
        self.misplaced += u64::from(number < self.next);
        self.next = number + 1;
        self.received += 1;
        if !self.work.is_zero() {
            let begun = Instant::now();
            while begun.elapsed() < self.work {}
        }
    }
}
