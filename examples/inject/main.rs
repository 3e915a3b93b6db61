//! Replays a capture of real traffic into a mock virtual machine, and checks every frame that arrives.
//!
//! ```text
//! feed --socketpair, channel or capture--> RxWorkerSlot --ring--> guest --> verify, latency, --out
//!   (thread 1)                              (thread 2)            (thread 3)
//! ```
//!
//! 1. [`args`] makes a [`Plan`](args::Plan) of the command line; whatever is wrong with it shows here.
//! 2. [`machine`] makes the guest's memory and driver, and an interrupt line that knows the time ([`irq`]).
//! 3. [`feed`] makes the source, and what sends [`traffic`] into it.
//! 4. [`run`] deposits the parts in the slot, posts the first buffers, says `DRIVER_OK`, lets the [`guest`] drain, and
//!    waits for the end.
//! 5. [`verdict`] and [`report`] say how it went: exit code 0 if every frame arrived as it was sent or was dropped by
//!    choice, 1 if not or if none arrived, 2 if it could not be tried.

mod args;
mod capture;
mod feed;
mod guest;
mod irq;
mod latency;
mod machine;
mod progress;
mod report;
mod run;
mod traffic;
mod verdict;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// Frames were lost or differ, or none arrived.
const BAD: u8 = 1;
/// The flags or the files are wrong, or the system refused.
const NOT_TRIED: u8 = 2;

fn main() -> ExitCode {
    let flags = match args::parse() {
        Ok(flags) => flags,
        Err(exit) => return exit,
    };
    inject(flags).unwrap_or_else(|error| {
        complain(&format!("error: {}", one_line(&error)));
        ExitCode::from(NOT_TRIED)
    })
}

fn inject(flags: args::Args) -> Result<ExitCode> {
    let json = flags.json;
    let report = run::run(flags.plan()?)?;
    let text = match (json, report.failures.is_empty()) {
        (true, _) => serde_json::to_string(&report)?,
        (false, true) => format!("{}\n{}", report.table(), report.praise()),
        (false, false) => report.table().to_string(),
    };
    print(&text)?;
    report.failures.iter().for_each(|failure| complain(&format!("failed: {failure}")));
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

/// Prints to stdout. A reader that has gone away wants no more, which is no error.
fn print(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

/// Prints a line to stderr, if there is somebody to read it.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// An error and its causes. Some errors name their cause themselves; it is not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
