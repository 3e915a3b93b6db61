//! `cargo xtask fuzz`: runs cargo-fuzz targets for a given time, beginning with the seeds that are committed.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Result, anyhow, ensure};

use crate::cli::FuzzArgs;
use crate::components::Component;
use crate::{process, tree};

/// The task, asked for by hand: gets the tools first.
pub(crate) fn task(args: &FuzzArgs) -> Result<()> {
    if args.list {
        targets().iter().for_each(|target| println!("{target}"));
        return Ok(());
    }
    if let Some(target) = &args.target {
        let targets = targets();
        ensure!(targets.contains(target), "no fuzz target {target}; there are: {targets:?}");
    }
    for component in [Component::Nightly, Component::CargoFuzz, Component::CxxCompiler] {
        component.provide()?;
    }
    match &args.target {
        Some(target) => process::stream(&mut command(target, args.seconds)?),
        None => all(args.seconds),
    }
}

/// Runs every target for so many seconds, as many at a time as there are cores.
pub(crate) fn all(seconds: u32) -> Result<()> {
    let targets = targets();
    ensure!(!targets.is_empty(), "no targets in fuzz/fuzz_targets");
    process::stream(process::cargo().args(["+nightly", "fuzz", "build"]))?;
    let left = Mutex::new(targets.iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        std::iter::from_fn(next).try_for_each(|target| {
            process::stream_labelled(&mut command(target, seconds)?, &format!("{target}: "))
        })
    };
    let cores = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut ends = workers.into_iter().map(ScopedJoinHandle::join);
        ends.try_for_each(|end| end.map_err(|_| anyhow!("a fuzz run panicked"))?)
    })
}

/// The command that runs a target for so many seconds.
fn command(target: &str, seconds: u32) -> Result<Command> {
    // What the fuzzer finds goes to the first folder; the seeds stay as they are.
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    fs::create_dir_all(tree::root().join(&corpus))?;
    let limit = format!("-max_total_time={seconds}");
    let mut cargo = process::cargo();
    cargo.args(["+nightly", "fuzz", "run", target, &corpus, &seeds, "--", &limit, "-print_final_stats=1"]);
    Ok(cargo)
}

/// The files of `fuzz/fuzz_targets`, by name.
fn targets() -> Vec<String> {
    let files = tree::entries(&tree::root().join("fuzz/fuzz_targets"));
    let rust = files.iter().filter(|path| tree::has_extension(path, "rs"));
    rust.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}
