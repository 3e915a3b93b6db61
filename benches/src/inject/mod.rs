//! Bench `inject`: frames already in hand into a split ring, on one thread.
//!
//! A pass is: the guest posts the whole ring (two stores), the subject injects as many frames as fit it, the
//! guest looks at used.idx (one load). A turn is one pass to warm up, then as many timed ones as make about a
//! millisecond, between two readings of the clock: the clock costs more than the driver's three accesses per
//! pass, which are inside the timing, alike for all subjects.

mod floor;
mod frames;
mod netrx;
mod predecessor;
mod rust_vmm;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cli::Effort;
use crate::guest::{Driver, HEADER_LEN, Layout, SEATS, Shape};
use crate::report::Report;
use crate::rounds::interleave;
use crate::subject::Subject;

pub(crate) use frames::Frames;
pub(crate) use predecessor::parts as predecessor_parts;

/// One kind of frame in one kind of buffer.
struct Case {
    name: &'static str,
    frame: usize,
    shape: Shape,
    /// Buffers a frame spans, merged by MRG_RXBUF.
    spans: u16,
}

/// A subject of this bench.
type Injector = Box<dyn Subject<Frames>>;

/// Makes a subject for a case, or nothing where it cannot do that.
type Make = fn(&Case, Driver) -> Result<Option<Injector>>;

/// The subjects.
const SUBJECTS: [Make; 6] = [
    floor::subject,
    netrx::subject,
    netrx::put_subject,
    predecessor::subject,
    rust_vmm::subject,
    rust_vmm::writer_subject,
];

fn cases() -> Vec<Case> {
    let plain = |name, frame| Case { name, frame, shape: Shape::holding(frame + HEADER_LEN, 1), spans: 1 };
    vec![
        plain("60 B", 60),
        plain("1514 B", 1514),
        plain("9014 B", 9014),
        plain("65000 B", 65000),
        Case {
            name: "1514 B, chains of 4",
            frame: 1514,
            shape: Shape::holding(1514 + HEADER_LEN, 4),
            spans: 1,
        },
        Case { name: "24000 B, 16 merged", frame: 24_000, shape: Shape::holding(1536, 1), spans: 16 },
    ]
}

/// Measures every case.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    for case in cases() {
        eprintln!("inject: {} ...", case.name);
        measure(&case, effort, report).map_err(|e| format!("inject, {}: {e}", case.name))?;
    }
    Ok(())
}

fn measure(case: &Case, effort: &Effort, report: &mut Report) -> Result<()> {
    let frames = Frames::new(case.frame, usize::from(case.shape.heads() / case.spans));
    let passes = passes_per_turn(&frames, effort.turn);
    let ram = Layout::memory(case.shape)?;
    let mut subjects = Vec::new();
    for (seat, subject) in (0..SEATS).zip(SUBJECTS) {
        subjects.extend(subject(case, Driver::seated(Arc::clone(&ram), case.shape, seat))?);
    }
    let series = interleave(&mut subjects, effort.rounds, Subject::peer, |subject, round| {
        if round == 0 || round + 1 == effort.rounds {
            verify(subject, case, &frames)?;
        }
        turn(subject, case, &frames, passes)
    })?;
    report.add("inject", case.name, "ns/frame", &series);
    Ok(())
}

/// How many passes fill a turn, by a rough guess of what a frame costs; the same number for all subjects.
fn passes_per_turn(frames: &Frames, turn: Duration) -> u32 {
    let pass_ns = frames.count() * (10 + frames.at(0).len() / 80);
    (turn.as_nanos() as usize / pass_ns).max(2) as u32
}

/// One subject's turn: nanoseconds per frame.
fn turn(subject: &mut dyn Subject<Frames>, case: &Case, frames: &Frames, passes: u32) -> Result<f64> {
    let heads = case.shape.heads();
    pass(subject, heads, frames);
    subject.collect(heads)?;
    let mut irqs = 0;
    let start = Instant::now();
    for _ in 1..passes {
        irqs += pass(subject, heads, frames);
        subject.collect(heads)?;
    }
    irqs += pass(subject, heads, frames);
    let took = start.elapsed();
    subject.collect(heads)?;
    if subject.peer().has_ring() && irqs != passes {
        return Err(format!("{} raised {irqs} interrupts in {passes} passes", subject.peer().name()).into());
    }
    Ok(took.as_nanos() as f64 / (f64::from(passes) * frames.count() as f64))
}

fn pass(subject: &mut dyn Subject<Frames>, heads: u16, frames: &Frames) -> u32 {
    subject.post(heads);
    subject.inject(frames)
}

/// Runs a pass over scribbled buffers, and checks every byte of it.
fn verify(subject: &mut dyn Subject<Frames>, case: &Case, frames: &Frames) -> Result<()> {
    subject.driver().scribble();
    pass(subject, case.shape.heads(), frames);
    subject.collect(case.shape.heads())?;
    let (peer, driver) = (subject.peer(), subject.driver());
    for at in 0..frames.count() {
        let back = (frames.count() - at) as u16 * case.spans;
        let verdict = driver.verify_taken(back, case.spans, frames.at(at), peer.has_ring());
        verdict.map_err(|e| format!("{}, frame {at}: {e}", peer.name()))?;
    }
    Ok(())
}
