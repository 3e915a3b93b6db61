//! The command line, and what it means in rounds and seconds.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures netrx beside its predecessor, rust-vmm and the bare copy, all in one process and taking turns.
///
/// Prints one table; writes report.json and SVG plots into the output folder. Progress goes to stderr.
#[derive(Parser)]
#[command(name = "netrx-bench", version)]
pub(crate) struct Cli {
    /// Rougher figures, within a minute
    #[arg(long)]
    quick: bool,

    /// Run this bench only (may be given several times)
    #[arg(long = "bench", value_name = "NAME", value_enum)]
    only: Vec<Bench>,

    /// Rounds per case of the single-thread benches [default: 200, with --quick 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Seed of the random pauses between lone frames
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Folder of report.json and the plots
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) out: PathBuf,
}

/// One bench, by the name it has on the command line and in the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Frames in hand into a split ring, one thread: nanoseconds per frame
    Inject,
    /// A lone frame through the worker thread: send to interrupt
    LoneFrame,
    /// Wake-ups per second of the idle worker thread
    Idle,
    /// Interrupts per 100,000 frames at full load
    Irqs,
    /// Frames read from a socketpair into guest buffers
    Socketpair,
    /// Promoted TCP connections: from loopback sockets into guest buffers
    Tcp,
}

/// How much work a run does.
pub(crate) struct Effort {
    /// Rounds per case of the single-thread benches.
    pub(crate) rounds: usize,
    /// Time one subject's turn should take, about.
    pub(crate) turn: Duration,
    /// Rounds of the benches that start a worker.
    pub(crate) worker_rounds: usize,
    /// Lone frames per subject.
    pub(crate) lone_frames: usize,
    /// Frames per subject and round at full load.
    pub(crate) load_frames: u64,
    /// How long an idle worker is watched, per round.
    pub(crate) idle: Duration,
    /// Seed of whatever is random.
    pub(crate) seed: u64,
}

impl Cli {
    /// The benches asked for, in their usual order.
    pub(crate) fn benches(&self) -> Vec<Bench> {
        let asked = |bench: &Bench| self.only.is_empty() || self.only.contains(bench);
        Bench::value_variants().iter().copied().filter(asked).collect()
    }

    /// What `--quick`, `--rounds` and `--seed` come to.
    pub(crate) fn effort(&self) -> Effort {
        let mut effort = if self.quick { Effort::quick() } else { Effort::full() };
        effort.seed = self.seed;
        if let Some(rounds) = self.rounds {
            effort.rounds = rounds as usize;
        }
        effort
    }
}

impl Effort {
    fn full() -> Self {
        Self {
            rounds: 200,
            turn: Duration::from_millis(3),
            worker_rounds: 7,
            lone_frames: 2000,
            load_frames: 100_000,
            idle: Duration::from_secs(2),
            seed: 1,
        }
    }

    fn quick() -> Self {
        Self {
            rounds: 60,
            turn: Duration::from_millis(2),
            worker_rounds: 3,
            lone_frames: 400,
            load_frames: 50_000,
            idle: Duration::from_millis(500),
            seed: 1,
        }
    }
}
