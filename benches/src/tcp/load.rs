//! Flows through a worker at full load: throughput, and what it costs the guest in interrupts and exits. The floor is a thread
//! that reads the same flows into plain memory.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netrx_hvf::Vcpus;

use super::guest::Guest;
use super::{PAGES, counted, floor_load, flows, netrx_load, predecessor_load};
use crate::Result;
use crate::cli::Effort;
use crate::guest::Driver;
use crate::peer::Peer;
use crate::report::Report;
use crate::rounds::Series;
use crate::worker::IrqProbe;

/// Tells a worker that the guest has posted buffers.
pub(super) type Kick = Box<dyn Fn() + Send>;
/// Tells a flow's connection that the guest has everything before a number.
pub(super) type Acknowledge = Box<dyn Fn(usize, u32) + Send>;
/// Stops a worker, joins it, and says how many vCPU exits it asked the hypervisor for.
pub(super) type Stop = Box<dyn FnOnce() -> Result<u64>>;

/// A worker with connections in it.
pub(super) struct Load {
    pub(super) kick: Kick,
    pub(super) acknowledge: Acknowledge,
    pub(super) stop: Stop,
}

/// How it interrupts the guest: the line, and then the vCPUs, for one that sleeps.
pub(super) struct Line {
    pub(super) irq: Arc<IrqProbe>,
    pub(super) vcpus: Vcpus,
}

/// Starts one over these streams.
type Start = fn(&Driver, Line, Vec<TcpStream>) -> Result<Load>;

/// Who reads the flows; the floor has no worker.
const READERS: [(Peer, Option<Start>); 3] = [
    (Peer::Floor, None),
    (Peer::Netrx, Some(netrx_load::start)),
    (Peer::Predecessor, Some(predecessor_load::start)),
];

/// How long a round may take.
const STUCK: Duration = Duration::from_secs(30);

struct Outcome {
    mib_per_second: f64,
    cost: Option<Cost>,
}

/// What it cost the guest.
struct Cost {
    irqs_per_mib: f64,
    exits_per_mib: f64,
}

/// Measures all readers with 1, 2 and 8 flows.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    let bytes = effort.load_frames * 2048;
    for count in [1, 2, 8] {
        let case = format!("{}, worker", counted(count));
        let mut outcomes: [Vec<Outcome>; READERS.len()] = Default::default();
        for round in 0..effort.worker_rounds {
            eprintln!("tcp: {case}, round {} of {} ...", round + 1, effort.worker_rounds);
            for place in 0..READERS.len() {
                let who = (round + place) % READERS.len();
                let outcome = turn(READERS[who].1, count, bytes / count as u64);
                outcomes[who].push(outcome.map_err(|e| format!("{}: {e}", READERS[who].0.name()))?);
            }
        }
        add(report, &case, "MiB/s", &outcomes, |outcome| Some(outcome.mib_per_second));
        add(report, &case, "irqs/MiB", &outcomes, |outcome| Some(outcome.cost.as_ref()?.irqs_per_mib));
        add(report, &case, "exits/MiB", &outcomes, |outcome| Some(outcome.cost.as_ref()?.exits_per_mib));
    }
    Ok(())
}

fn add(
    report: &mut Report,
    case: &str,
    unit: &str,
    outcomes: &[Vec<Outcome>],
    figure: fn(&Outcome) -> Option<f64>,
) {
    let series = READERS.iter().zip(outcomes);
    let series = series
        .map(|((peer, _), outcomes)| Series {
            peer: *peer,
            values: outcomes.iter().filter_map(figure).collect(),
        })
        .filter(|series| !series.values.is_empty());
    report.add("tcp", case, unit, &series.collect::<Vec<_>>());
}

fn turn(start: Option<Start>, count: usize, each: u64) -> Result<Outcome> {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (one, other) = flows::pair()?;
        near.push(one);
        far.push(other);
    }
    let total = each * count as u64;
    let mib = total as f64 / f64::from(1 << 20);
    thread::scope(|scope| {
        let write_all = || {
            for stream in far {
                // It fails when the near end is gone, and then the reader says what is missing.
                scope.spawn(move || drop(write(stream, each)));
            }
        };
        let Some(start) = start else {
            let begun = Instant::now();
            write_all();
            floor_load::read_all(near, total, STUCK)?;
            return Ok(Outcome { mib_per_second: mib / begun.elapsed().as_secs_f64(), cost: None });
        };
        let (took, irqs, exits) = through_worker(start, near, total, write_all)?;
        let cost = Cost { irqs_per_mib: irqs as f64 / mib, exits_per_mib: exits as f64 / mib };
        Ok(Outcome { mib_per_second: mib / took.as_secs_f64(), cost: Some(cost) })
    })
}

/// How long it takes until the guest has everything, and how many interrupts and exits.
fn through_worker(
    start: Start,
    streams: Vec<TcpStream>,
    total: u64,
    write_all: impl FnOnce(),
) -> Result<(Duration, u64, u64)> {
    let flows = streams.len();
    let mut driver = Driver::new(PAGES.shape)?;
    driver.post(PAGES.shape.heads());
    let (irq, vcpus) = (Arc::new(IrqProbe::default()), Vcpus::new());
    let line = Line { irq: Arc::clone(&irq), vcpus: vcpus.clone() };
    let Load { kick, acknowledge, stop } = start(&driver, line, streams)?;
    let guest = Guest::new(driver, kick, acknowledge, flows, total);
    let given_up = AtomicBool::new(false);
    thread::scope(|scope| {
        let begun = Instant::now();
        let guest = scope.spawn(|| guest.run(&vcpus, &given_up));
        write_all();
        while !guest.is_finished() && begun.elapsed() < STUCK {
            thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed();
        given_up.store(true, Ordering::Release);
        vcpus.exit()?;
        let received = guest.join().map_err(|_| "the guest's thread panicked")?;
        let exits = stop()?;
        received?;
        Ok((took, irq.count(), exits))
    })
}

/// Writes so many bytes, and holds the stream until the near end is closed.
fn write(mut stream: TcpStream, bytes: u64) -> std::io::Result<()> {
    let piece = vec![0x5a; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        let len = left.min(piece.len() as u64) as usize;
        stream.write_all(&piece[..len])?;
        left -= len as u64;
    }
    std::io::Read::read(&mut stream, &mut [0; 1]).map(drop)
}
