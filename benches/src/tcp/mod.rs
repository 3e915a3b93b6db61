//! Bench `tcp`: bytes that wait in loopback sockets, read into guest buffers; and the same through a worker.
//!
//! In the first part a turn is a row of passes: the sockets are filled with sixteen frames' worth of bytes,
//! spread over the flows, and only emptying them is timed. For netrx that includes the dropping of bytes once
//! they are acknowledged. The floor is `recv` of the same sizes into the same memory, contiguous whatever the
//! guest's buffers are; `recvmsg` has them in pieces as long as the guest's buffers; `read-then-copy` is what a bounded
//! retransmission buffer would cost: `recv` into it, and a copy into the guest. Drivers like Linux's cut their buffers off
//! larger blocks, so that they lie side by side; one case has them apart.
//!
//! In the second part hosts write as fast as they can, a worker injects, and a guest with NAPI takes and
//! acknowledges: [`load`].

mod floor_load;
mod flows;
mod guest;
pub(crate) mod load;
mod netrx;
mod netrx_load;
mod predecessor_load;
mod recv;
mod vcpu;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cli::Effort;
use crate::guest::{Driver, Layout, Shape};
use crate::peer::Peer;
use crate::report::Report;
use crate::rounds::{interleave, quantile};

use flows::Flows;

/// Payload bytes of a frame: 44 segments of 1460.
const CHUNK: usize = 44 * MSS as usize;
const MSS: u16 = 1460;
/// Frames of a pass, over all flows.
const FRAMES: usize = 16;

/// What a guest posts: Linux's merged buffers of a page, or one for each frame.
#[derive(Clone, Copy)]
struct Buffers {
    name: &'static str,
    shape: Shape,
    /// How many a frame takes.
    span: usize,
}

const PAGES: Buffers =
    Buffers { name: "4 KiB buffers", shape: Shape { size: 256, chain: 1, piece: 4096, gap: 0 }, span: 16 };
const APART: Buffers = Buffers {
    name: "4 KiB buffers apart",
    shape: Shape { size: 256, chain: 1, piece: 4096, gap: 64 },
    span: 16,
};
const WHOLE: Buffers =
    Buffers { name: "64 KiB buffers", shape: Shape { size: 16, chain: 1, piece: 65_536, gap: 0 }, span: 1 };

/// Empties sockets that hold [`FRAMES`] chunks.
trait Puller {
    fn peer(&self) -> Peer;

    /// Fills the sockets, then empties them; how long the latter took.
    fn pass(&mut self) -> Result<Duration>;
}

/// Makes a subject for a guest and so many flows.
type Make = fn(Driver, Flows, Buffers) -> Result<Box<dyn Puller>>;

const SUBJECTS: [Make; 4] = [recv::floor, recv::scattered, netrx::subject, recv::then_copy];

/// Measures every case of both parts.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    for buffers in [PAGES, WHOLE] {
        for flows in [1, 2, 8] {
            measure(buffers, flows, effort, report)?;
        }
    }
    measure(APART, 1, effort, report)?;
    load::run(effort, report)
}

fn measure(buffers: Buffers, flows: usize, effort: &Effort, report: &mut Report) -> Result<()> {
    let case = format!("{}, {}", counted(flows), buffers.name);
    eprintln!("tcp: {case} ...");
    let ram = Layout::memory(buffers.shape)?;
    let mut pullers = Vec::new();
    for (seat, subject) in (0..).zip(SUBJECTS) {
        let mut driver = Driver::seated(Arc::clone(&ram), buffers.shape, seat);
        driver.post(buffers.shape.heads());
        pullers.push(subject(driver, Flows::new(flows)?, buffers)?);
    }
    let turn = |puller: &mut (dyn Puller + 'static), _| turn(puller, effort.turn);
    let series = interleave(&mut pullers, effort.rounds, Puller::peer, turn)?;
    report.add("tcp", &case, "us/MiB", &series);
    Ok(())
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

/// So many flows, in words.
fn counted(flows: usize) -> String {
    let plural = if flows == 1 { "" } else { "s" };
    format!("{flows} flow{plural}")
}
