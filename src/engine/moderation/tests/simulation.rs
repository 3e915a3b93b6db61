//! What adapting buys: interrupts a frame and added latency, by offered load and flows: the table in `simulation.txt`.
//!
//! A made-up guest wants every interrupt. Each flow sends trains of frames, back to back, so that all flows together
//! offer the load. Beside ours stand the predecessor's two ways: a fixed gathering of 200 us, waited for anew after each
//! frame, up to 256 frames; and a window of 100 to 800 us that grows after a gathering of 12 frames or more. The
//! numbers are the ones it has published; that its window doubles and halves, from 200 us on, is our assumption.

use std::fmt::Write as _;

use super::*;

/// Frames a train has, and nanoseconds between them.
const TRAIN: u64 = 16;
const BACK_TO_BACK: u64 = 1000;
/// How long is simulated, in nanoseconds.
const LENGTH: u64 = 200_000_000;
const LATENCY: Duration = Duration::from_micros(50);

/// What a policy came to: how many interrupts, and each frame's wait for one in nanoseconds.
#[derive(Default)]
struct Outcome {
    irqs: usize,
    waits: Vec<u64>,
}

impl Outcome {
    fn interrupt(&mut self, at: u64, owed: &mut Vec<u64>) {
        self.irqs += 1;
        self.waits.extend(owed.drain(..).map(|arrived| at - arrived));
    }

    fn cells(&self) -> String {
        let (frames, sum) = (self.waits.len().max(1), self.waits.iter().sum::<u64>());
        let max = self.waits.iter().max().copied().unwrap_or_default();
        let mean = sum / frames as u64 / 1000;
        format!("{:>5.3} {mean:>4} {:>4}", self.irqs as f64 / frames as f64, max / 1000)
    }
}

/// When frames arrive, in nanoseconds: `flows` flows of trains, about `load` frames a second together. No two flows keep
/// the same time, so that their trains meet and part.
fn arrivals(load: u64, flows: u64) -> Vec<u64> {
    let mean = 1_000_000_000 * TRAIN * flows / load;
    let period = |flow| mean * (100 + 3 * flow) / 100;
    let trains = |flow| (0..).map(move |train| train * period(flow)).take_while(|start| *start < LENGTH);
    let frames = |start| (0..TRAIN).map(move |frame| start + frame * BACK_TO_BACK);
    let mut all: Vec<u64> = (0..flows).flat_map(trains).flat_map(frames).collect();
    all.sort_unstable();
    all
}

/// Ours: the moderator itself, over a source that is empty after each frame.
fn ours(arrivals: &[u64]) -> Outcome {
    let start = Instant::now();
    let at = |nanos: u64| start + Duration::from_nanos(nanos);
    let mut moderator = Moderator::new(Moderation::adaptive(LATENCY));
    let (mut outcome, mut owed) = (Outcome::default(), Vec::new());
    for &arrival in arrivals {
        if let Some(until) = moderator.held_until().filter(|until| *until <= at(arrival)) {
            moderator.raised(until);
            outcome.interrupt((until - start).as_nanos() as u64, &mut owed);
        }
        owed.push(arrival);
        moderator.published(1, at(arrival));
        if moderator.is_due(Load::Quiet, at(arrival)) {
            moderator.raised(at(arrival));
            outcome.interrupt(arrival, &mut owed);
        }
    }
    outcome
}

/// The predecessor's fixed way: until nothing has come for 200 us, or 256 frames have.
fn fixed(arrivals: &[u64]) -> Outcome {
    let (mut outcome, mut owed) = (Outcome::default(), Vec::<u64>::new());
    for &arrival in arrivals {
        if let Some(last) = owed.last().copied().filter(|last| arrival - last > 200_000) {
            outcome.interrupt(last + 200_000, &mut owed);
        }
        owed.push(arrival);
        if owed.len() == 256 {
            outcome.interrupt(arrival, &mut owed);
        }
    }
    outcome
}

/// The predecessor's adaptive way.
fn windowed(arrivals: &[u64]) -> Outcome {
    let (mut outcome, mut owed) = (Outcome::default(), Vec::<u64>::new());
    let mut window = 200_000;
    for &arrival in arrivals {
        if let Some(first) = owed.first().copied().filter(|first| arrival - first >= window) {
            let grown = if owed.len() >= 12 { window * 2 } else { window / 2 };
            outcome.interrupt(first + window, &mut owed);
            window = grown.clamp(100_000, 800_000);
        }
        owed.push(arrival);
    }
    outcome
}

fn table() -> String {
    let mut table = String::from(
        "                 adaptive, 50 us    200 us fixed     100 to 800 us\n\
         frames/s flows   irqs  mean  max   irqs mean  max   irqs mean  max\n",
    );
    for load in [1_000, 10_000, 37_000, 100_000, 400_000, 900_000] {
        for flows in [1, 2, 8] {
            let arrivals = arrivals(load, flows);
            let [ours, fixed, windowed] = [ours, fixed, windowed].map(|policy| policy(&arrivals).cells());
            let _ = writeln!(table, "{load:>8} {flows:>5}  {ours}  {fixed}  {windowed}");
        }
    }
    table
}

#[test]
fn interrupts_and_latency_by_load() {
    let (table, expected) = (table(), include_str!("simulation.txt"));
    println!("{table}");
    let lines = table.lines().zip(expected.lines()).filter(|(found, expected)| found != expected);
    let changed: String = lines.map(|(found, expected)| format!("\n- {expected}\n+ {found}")).collect();
    assert!(changed.is_empty() && table.len() == expected.len(), "the table has changed:{changed}");
}

/// A frame of ours waits a quarter as long at most; at full load there are few interrupts all the same.
#[test]
fn the_predecessors_frames_wait_longer() {
    for load in [1_000, 100_000, 900_000] {
        for flows in [1, 2, 8] {
            let arrivals = arrivals(load, flows);
            let longest = |outcome: Outcome| outcome.waits.into_iter().max().unwrap_or_default();
            let irqs = ours(&arrivals).irqs;
            let [ours, fixed, windowed] = [ours, fixed, windowed].map(|policy| longest(policy(&arrivals)));
            assert!(4 * ours <= fixed.min(windowed), "{ours}, {fixed} and {windowed} ns at {load}/s");
            assert!(load < 900_000 || irqs * 25 < arrivals.len(), "{irqs} for {} frames", arrivals.len());
        }
    }
}

#[test]
fn no_frame_waits_longer_than_it_may() {
    for load in [1_000, 50_000, 250_000, 950_000] {
        for flows in [1, 3, 16] {
            let outcome = ours(&arrivals(load, flows));
            let longest = outcome.waits.iter().max().copied().unwrap_or_default();
            assert!(u128::from(longest) <= LATENCY.as_nanos(), "{longest} ns at {load}/s");
        }
    }
}
