//! The project's own tasks, run as `cargo xtask TASK`: everything a change must pass, in one place.
//!
//! ```text
//! main ── cli (what was asked) ──> test ── suites (what to run, as data)
//!                                  │  └─── components (what a suite needs: found, or installed)
//!                                  │            └── debian (packages, also of another suite than the machine's)
//!                                  └────── report (verdicts, table, exit code)
//!                        bench, fuzz, cross: one task each, also used by the suites
//! ```

mod cli;
mod components;
mod cross;
mod debian;
mod fuzz;
mod process;
mod report;
mod suites;
mod test;
mod tree;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Task};

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Cross(args) => cross::task(&args).map(|()| ExitCode::SUCCESS),
        Task::Bench(args) => bench(&args).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(args) => fuzz::task(&args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn bench(args: &cli::BenchArgs) -> anyhow::Result<()> {
    process::stream(process::cargo().args(["run", "--release", "-p", "netrx-bench", "--"]).args(&args.args))
}
