//! Bench `idle`: how often the worker's thread wakes up while nothing happens.
//!
//! Each time a thread goes to sleep the kernel counts a voluntary context switch, in `/proc`.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::{Rig, Start, WORKERS, channel};
use crate::Result;
use crate::cli::Effort;
use crate::report::Report;
use crate::rounds::Series;

const ROUNDS: usize = 2;
const SETTLE: Duration = Duration::from_millis(50);

/// Measures both workers.
pub(crate) fn run(effort: &Effort, report: &mut Report) -> Result<()> {
    if !fs::exists("/proc/self/task")? {
        eprintln!("idle: skipped, there is no /proc/self/task here");
        return Ok(());
    }
    let mut series = Vec::new();
    for (peer, start) in WORKERS {
        eprintln!("idle: {} ...", peer.name());
        let turns: Vec<Option<f64>> = (0..ROUNDS).map(|_| turn(start, effort.idle)).collect::<Result<_>>()?;
        let values: Vec<f64> = turns.into_iter().flatten().collect();
        if !values.is_empty() {
            series.push(Series { peer, values });
        }
    }
    report.add("idle", "no frames", "wake-ups/s", &series);
    Ok(())
}

fn turn(start: Start, watch: Duration) -> Result<Option<f64>> {
    let Some(rig) = Rig::start(start, 60, channel())? else { return Ok(None) };
    thread::sleep(SETTLE);
    let status = status_path(rig.worker.thread_name())?;
    let (before, begun) = (switches(&status)?, Instant::now());
    thread::sleep(watch);
    let rate = (switches(&status)? - before) as f64 / begun.elapsed().as_secs_f64();
    rig.worker.finish()?;
    Ok(Some(rate))
}

/// The status file of the thread of this name.
fn status_path(name: &str) -> Result<String> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            return Ok(path.join("status").display().to_string());
        }
    }
    Err(format!("no thread named {name}").into())
}

fn switches(status: &str) -> Result<u64> {
    let text = fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.ok_or("no count of context switches")?.trim().parse()?)
}
