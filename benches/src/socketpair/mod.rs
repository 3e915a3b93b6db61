//! Bench `socketpair`: frames that wait in a Unix socket, read into guest buffers.
//!
//! A turn is a row of bursts: the socket is filled until it takes no more, or as many as one `recvmmsg` is
//! given buffers for, and only emptying it again is timed. The peers are told how many frames wait and stop
//! there, so that they are spared the call that finds the socket empty.

mod netrx;
mod pair;
mod read_then_copy;
mod recvmmsg;

use std::time::{Duration, Instant};

use crate::Result;
use crate::cli::Effort;
use crate::guest::{Driver, HEADER_LEN, Shape};
use crate::inject::Frames;
use crate::report::Report;
use crate::rounds::{interleave, quantile};
use crate::subject::Subject;

use pair::{Burst, Kind, Pair};

/// The most frames that wait at once: a batch of a busy receiver.
const MOST: usize = 64;

/// A subject of this bench.
type Reader = Box<dyn Subject<Burst>>;

/// Makes a subject for a guest and frames of this length.
type Make = fn(Driver, usize) -> Result<Option<Reader>>;

/// The subjects.
const SUBJECTS: [Make; 3] = [recvmmsg::subject, netrx::subject, read_then_copy::subject];

/// A subject with a socketpair of its own.
struct Seat {
    pair: Pair,
    reader: Reader,
}

/// Measures every case.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    for kind in [Kind::Dgram, Kind::Seqpacket] {
        for size in [60, 1500] {
            measure(kind, size, effort, report)
                .map_err(|e| format!("socketpair, {kind:?}, {size} B: {e}"))?;
        }
    }
    Ok(())
}

fn measure(kind: Kind, size: usize, effort: &Effort, report: &mut Report) -> Result<()> {
    let frames = Frames::new(size, MOST);
    let mut seats = Vec::new();
    for subject in SUBJECTS {
        let mut driver = Driver::new(Shape::holding(size + HEADER_LEN, 1))?;
        driver.post(driver.layout().shape.heads());
        if let Some(reader) = subject(driver, size)? {
            seats.push(Box::new(Seat { pair: Pair::new(kind)?, reader }));
        }
    }
    let burst = seats.first().map_or(Ok(0), |seat| capacity(&seat.pair, &frames))?;
    let case = format!("{} {size} B, {burst} at once", kind.name());
    eprintln!("socketpair: {case} ...");
    let peer = |seat: &Seat| seat.reader.peer();
    let series =
        interleave(&mut seats, effort.rounds, peer, |seat, _| turn(seat, &frames, burst, effort.turn))?;
    report.add("socketpair", &case, "ns/frame", &series);
    Ok(())
}

/// How many frames a pair takes at once; it is empty again afterwards.
fn capacity(pair: &Pair, frames: &Frames) -> Result<usize> {
    let burst = pair.fill(frames, MOST)?;
    pair.discard(burst.count)?;
    Ok(burst.count)
}

/// One subject's turn: one burst to warm up and to check, then timed ones; the median of theirs, per frame.
fn turn(seat: &mut Seat, frames: &Frames, burst: usize, length: Duration) -> Result<f64> {
    pass(seat, frames, burst)?;
    verify(seat, frames, burst)?;
    let mut bursts = Vec::new();
    let end = Instant::now() + length * 2;
    while bursts.is_empty() || Instant::now() < end {
        bursts.push(pass(seat, frames, burst)?.as_nanos() as f64);
    }
    Ok(quantile(&bursts, 0.5) / burst as f64)
}

fn pass(seat: &mut Seat, frames: &Frames, burst: usize) -> Result<Duration> {
    let waiting = seat.pair.fill(frames, burst)?;
    if waiting.count != burst {
        return Err(format!("the socket took {} of {burst} frames", waiting.count).into());
    }
    let start = Instant::now();
    seat.reader.inject(&waiting);
    let took = start.elapsed();
    seat.reader.collect(burst as u16)?;
    seat.reader.post(burst as u16);
    Ok(took)
}

fn verify(seat: &mut Seat, frames: &Frames, burst: usize) -> Result<()> {
    let peer = seat.reader.peer();
    for at in 0..burst {
        let verdict =
            seat.reader.driver().verify_taken((burst - at) as u16, 1, frames.at(at), peer.has_ring());
        verdict.map_err(|e| format!("{}, frame {at}: {e}", peer.name()))?;
    }
    Ok(())
}
