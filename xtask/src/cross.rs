//! `cargo xtask cross`: clippy for platforms this project supports but is not run on.
//!
//! Checking needs the target's standard library but no linker. It comes by one of two routes: rustup has it, or the
//! nightly compiles it from source (`-Zbuild-std`).

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cli::CrossArgs;
use crate::components::Component;
use crate::{process, tree};

/// Where the kqueue code runs: one target for macOS, one for the BSDs.
pub(crate) const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// The task, asked for by hand: gets the standard libraries first.
pub(crate) fn task(args: &CrossArgs) -> Result<()> {
    Component::CrossStd.provide()?;
    if args.target.is_empty() { all() } else { args.target.iter().try_for_each(|target| check(target)) }
}

/// Checks every target.
pub(crate) fn all() -> Result<()> {
    TARGETS.iter().try_for_each(|target| check(target))
}

/// Whether rustup's (or the distribution's) own standard library for the target is there.
pub(crate) fn has_std(target: &str) -> bool {
    let printed =
        process::capture(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    printed.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// What core's features add. `vm-memory` does not build for the BSDs.
fn features(target: &str) -> &'static str {
    if target.ends_with("-apple-darwin") { "vm-memory,mockall" } else { "mockall" }
}

/// The workspace as it is, then core with its features.
fn check(target: &str) -> Result<()> {
    clippy(target, &["--workspace"])?;
    clippy(target, &["-p", "netrx", "--features", features(target)])
}

fn clippy(target: &str, of: &[&str]) -> Result<()> {
    let mut cargo = process::cargo();
    if has_std(target) {
        cargo.arg("clippy");
    } else {
        cargo.args(["+nightly", "clippy", "-Zbuild-std=std,panic_abort"]);
    }
    cargo.args(of).args(["--all-targets", "--target", target]);
    cargo.arg("--target-dir").arg(tree::target().join("cross"));
    process::stream(cargo.args(["--", "-D", "warnings"]))
}
