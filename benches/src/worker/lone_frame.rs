//! Bench `lone-frame`: from sending a frame to an idle worker until the interrupt it raises.
//!
//! The pauses between frames are random, so that no timer of a subject can fall into step. The guest takes
//! each frame, checks it and posts the buffer again before the next is sent.

use std::thread;
use std::time::{Duration, Instant};

use super::{Rig, Start, WORKERS, channel};
use crate::Result;
use crate::cli::Effort;
use crate::peer::Peer;
use crate::report::Report;
use crate::rounds::{Series, quantile};

const FRAME: usize = 60;
const PATIENCE: Duration = Duration::from_secs(2);

/// Measures both workers, turn by turn.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    let rounds = effort.worker_rounds.max(2);
    let mut random = Random(effort.seed.max(1));
    let mut samples: Vec<(Peer, Vec<Vec<f64>>)> = Vec::new();
    for round in 0..rounds {
        eprintln!("lone-frame: round {} of {rounds} ...", round + 1);
        for place in 0..WORKERS.len() {
            let (peer, start) = WORKERS[(round + place) % WORKERS.len()];
            let Some(turn) = turn(start, effort.lone_frames.div_ceil(rounds), &mut random)? else { continue };
            match samples.iter_mut().find(|(known, _)| *known == peer) {
                Some((_, turns)) => turns.push(turn),
                None => samples.push((peer, vec![turn])),
            }
        }
    }
    for (unit, q) in [("us p50", 0.5), ("us p99", 0.99), ("us max", 1.0)] {
        let series = |(peer, turns): &(Peer, Vec<Vec<f64>>)| Series { peer: *peer, values: pooled(turns, q) };
        report.add("lone-frame", "send to interrupt", unit, &samples.iter().map(series).collect::<Vec<_>>());
    }
    report.latencies = samples.into_iter().map(|(peer, turns)| (peer, turns.concat())).collect();
    Ok(())
}

/// One value: the quantile of all rounds' samples together, for a tail needs them all.
fn pooled(turns: &[Vec<f64>], q: f64) -> Vec<f64> {
    vec![quantile(&turns.concat(), q)]
}

/// One subject's turn: the latencies of `frames` frames, in microseconds.
fn turn(start: Start, frames: usize, random: &mut Random) -> Result<Option<Vec<f64>>> {
    let Some(mut rig) = Rig::start(start, FRAME, channel())? else { return Ok(None) };
    let mut latencies = Vec::with_capacity(frames);
    for at in 0..frames {
        thread::sleep(Duration::from_micros(200 + random.below(1300)));
        latencies.push(one(&mut rig, at as u8)?);
    }
    rig.worker.finish()?;
    Ok(Some(latencies))
}

fn one(rig: &mut Rig, mark: u8) -> Result<f64> {
    let frame = vec![mark; FRAME];
    let count = rig.irq.count();
    let sent = rig.irq.now();
    rig.worker.send(frame)?;
    let patience = Instant::now() + PATIENCE;
    while rig.irq.count() == count {
        if Instant::now() > patience {
            return Err("a lone frame raised no interrupt".into());
        }
        thread::sleep(Duration::from_micros(50));
    }
    let latency = rig.irq.last().saturating_sub(sent) as f64 / 1000.0;
    take(rig, mark)?;
    Ok(latency)
}

fn take(rig: &mut Rig, mark: u8) -> Result<()> {
    let used = rig.driver.take().ok_or("an interrupt without a frame")?;
    rig.driver.verify_taken(1, 1, &[mark; FRAME], true)?;
    rig.driver.put(used.head);
    let kick = rig.driver.publish();
    if rig.driver.arm() {
        return Err("more frames than were sent".into());
    }
    if kick {
        (rig.kick)();
    }
    Ok(())
}

/// A small generator (xorshift): the pauses need no more.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
