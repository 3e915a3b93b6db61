//! Flows through a worker at full load: throughput, and what it costs the guest in interrupts and exits.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::guest::Guest;
use super::{PAGES, counted, flows, netrx_load, predecessor_load};
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
/// Stops a worker and joins it.
pub(super) type Stop = Box<dyn FnOnce() -> Result<()>>;

/// A worker with connections in it.
pub(super) struct Load {
    pub(super) kick: Kick,
    pub(super) acknowledge: Acknowledge,
    pub(super) stop: Stop,
}

/// Starts one over these streams.
type Start = fn(&Driver, Arc<IrqProbe>, Vec<TcpStream>) -> Result<Load>;

const WORKERS: [(Peer, Start); 2] =
    [(Peer::Netrx, netrx_load::start), (Peer::Predecessor, predecessor_load::start)];

/// How long a round may take.
const STUCK: Duration = Duration::from_secs(30);

struct Outcome {
    mib_per_second: f64,
    irqs_per_mib: f64,
}

/// Measures both workers with 1, 2 and 8 flows.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    let bytes = effort.load_frames * 2048;
    for count in [1, 2, 8] {
        let case = format!("{}, worker", counted(count));
        let mut outcomes: [Vec<Outcome>; 2] = Default::default();
        for round in 0..effort.worker_rounds {
            eprintln!("tcp: {case}, round {} of {} ...", round + 1, effort.worker_rounds);
            for place in 0..WORKERS.len() {
                let who = (round + place) % WORKERS.len();
                let outcome = turn(WORKERS[who].1, count, bytes / count as u64);
                outcomes[who].push(outcome.map_err(|e| format!("{}: {e}", WORKERS[who].0.name()))?);
            }
        }
        add(report, &case, "MiB/s", &outcomes, |outcome| outcome.mib_per_second);
        // Both lines make the vCPUs exit once for each interrupt, where their hypervisor needs that.
        add(report, &case, "irqs/MiB", &outcomes, |outcome| outcome.irqs_per_mib);
    }
    Ok(())
}

fn add(
    report: &mut Report,
    case: &str,
    unit: &str,
    outcomes: &[Vec<Outcome>; 2],
    figure: fn(&Outcome) -> f64,
) {
    let series = WORKERS.iter().zip(outcomes);
    let series = series
        .map(|((peer, _), outcomes)| Series { peer: *peer, values: outcomes.iter().map(figure).collect() });
    report.add("tcp", case, unit, &series.collect::<Vec<_>>());
}

fn turn(start: Start, count: usize, each: u64) -> Result<Outcome> {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (one, other) = flows::pair()?;
        near.push(one);
        far.push(other);
    }
    let mut driver = Driver::new(PAGES.shape)?;
    driver.post(PAGES.shape.heads());
    let irq = Arc::new(IrqProbe::default());
    let Load { kick, acknowledge, stop } = start(&driver, Arc::clone(&irq), near)?;
    let total = each * count as u64;
    let guest = Guest::new(driver, kick, acknowledge, count, total);
    let given_up = AtomicBool::new(false);
    let (took, received) = thread::scope(|scope| -> Result<_> {
        let begun = Instant::now();
        let guest = scope.spawn(|| guest.run(&given_up));
        irq.wakes(guest.thread().clone());
        guest.thread().unpark();
        for stream in far {
            // It fails when the near end is gone, and then the guest says what is missing.
            scope.spawn(move || drop(write(stream, each)));
        }
        while !guest.is_finished() && begun.elapsed() < STUCK {
            thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed();
        given_up.store(true, Ordering::Release);
        guest.thread().unpark();
        let received = guest.join().map_err(|_| "the guest's thread panicked")?;
        stop()?;
        Ok((took, received))
    })?;
    received?;
    let mib = total as f64 / f64::from(1 << 20);
    Ok(Outcome { mib_per_second: mib / took.as_secs_f64(), irqs_per_mib: irq.count() as f64 / mib })
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
