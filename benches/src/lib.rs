//! `netrx-bench`: what a frame costs, measured beside what others pay for it.
//!
//! ```text
//! Cli ──> benches (inject, lone-frame, idle, irqs, socketpair, tcp)
//!           │ each: for every case, the subjects take turns in short rounds     rounds.rs
//!           │       over memory laid out alike for all of them                  guest/
//!           v
//!         Report ──> one table on stdout, report.json, SVG plots                report.rs table.rs plot/
//! ```
//!
//! Every figure is the median over the rounds, and every ratio is the median of the ratios inside the rounds,
//! so that a slow second of the machine hits all subjects alike. A bench is one folder; a subject is one file
//! in it, which implements `Subject` (or `Worker`) and is listed in the folder's `mod.rs`.

#![cfg(target_os = "linux")]

mod cli;
mod guest;
mod inject;
mod peer;
mod plot;
mod probe;
mod report;
mod rounds;
mod socketpair;
mod subject;
mod table;
mod tcp;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Bench, Cli, Effort};
use crate::report::Report;

/// The error of a tool: a line to print.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs the benches that the command line names.
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netrx-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    std::fs::create_dir_all(&cli.out).map_err(|e| format!("cannot make {}: {e}", cli.out.display()))?;
    let effort = cli.effort();
    let mut report = Report::default();
    for bench in cli.benches() {
        measure(bench, &effort, &mut report)?;
    }
    println!("{}", table::render(&report));
    report.write_json(&cli.out.join("report.json"))?;
    let plots = plot::write_all(&report, &cli.out)?;
    let files: Vec<_> = std::iter::once("report.json").chain(plots).collect();
    eprintln!("wrote {} to {}", files.join(", "), cli.out.display());
    Ok(())
}

fn measure(bench: Bench, effort: &Effort, report: &mut Report) -> Result<()> {
    match bench {
        Bench::Inject => inject::run(effort, report),
        Bench::LoneFrame => worker::lone_frame::run(effort, report),
        Bench::Idle => worker::idle::run(effort, report),
        Bench::Irqs => worker::irqs::run(effort, report),
        Bench::Socketpair => socketpair::run(effort, report),
        Bench::Tcp => tcp::run(effort, report),
    }
}
