//! Bench `tcp`: bytes that wait in loopback sockets, read into guest buffers; and the same through a worker.
//!
//! In the first part a turn is a row of passes: the sockets are filled with eight frames' worth of bytes,
//! spread over the flows, and only emptying them is timed. For netrx that includes the dropping of bytes once
//! they are acknowledged. The floor is `recv` of the same sizes into the same memory; `read-then-copy` is what
//! a bounded retransmission buffer would cost: `recv` into it, and a copy into the guest.
//!
//! In the second part hosts write as fast as they can, a worker injects, and a guest with NAPI takes and
//! acknowledges: [`load`].

mod flows;
mod guest;
pub(crate) mod load;
mod netrx;
mod netrx_load;
mod predecessor_load;
mod recv;

use std::time::{Duration, Instant};

use crate::Result;
use crate::cli::Effort;
use crate::guest::{Driver, Shape};
use crate::peer::Peer;
use crate::report::Report;
use crate::rounds::{interleave, quantile};

use flows::Flows;

/// Payload bytes of a frame: 44 segments of 1460.
const CHUNK: usize = 44 * MSS as usize;
const MSS: u16 = 1460;
/// Frames of a pass, over all flows.
const FRAMES: usize = 8;
/// Buffers of a guest, and their lengths; a frame takes 16.
const SHAPE: Shape = Shape { size: 256, chain: 1, piece: 4096 };
const SPAN: usize = 16;

/// Empties sockets that hold [`FRAMES`] chunks.
trait Puller {
    fn peer(&self) -> Peer;

    /// Fills the sockets, then empties them; how long the latter took.
    fn pass(&mut self) -> Result<Duration>;
}

/// Makes a subject for a guest and so many flows.
type Make = fn(Driver, Flows) -> Result<Box<dyn Puller>>;

const SUBJECTS: [Make; 3] = [recv::floor, netrx::subject, recv::then_copy];

/// Measures every case of both parts.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    for flows in [1, 2, 8] {
        let case = format!("{flows} flows");
        eprintln!("tcp: {case} ...");
        let ram = crate::guest::Layout::memory(SHAPE)?;
        let mut pullers = Vec::new();
        for (seat, subject) in (0..).zip(SUBJECTS) {
            let mut driver = Driver::seated(ram.clone(), SHAPE, seat);
            driver.post(SHAPE.heads());
            pullers.push(subject(driver, Flows::new(flows)?)?);
        }
        let turn = |puller: &mut (dyn Puller + 'static), _| turn(puller, effort.turn);
        let series = interleave(&mut pullers, effort.rounds, Puller::peer, turn)?;
        report.add("tcp", &case, "us/MiB", &series);
    }
    load::run(effort, report)
}

/// One subject's turn: one pass to warm up, then timed ones; the median of theirs, per MiB.
fn turn(puller: &mut dyn Puller, length: Duration) -> Result<f64> {
    puller.pass().map_err(|e| format!("{}: {e}", puller.peer().name()))?;
    let mut passes = Vec::new();
    let end = Instant::now() + length * 2;
    while passes.is_empty() || Instant::now() < end {
        passes.push(puller.pass()?.as_nanos() as f64);
    }
    let mib = (FRAMES * CHUNK) as f64 / f64::from(1 << 20);
    Ok(quantile(&passes, 0.5) / 1000.0 / mib)
}
