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
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use args::{Args, Plan};
use feed::{Feed, Make};
use report::Report;

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

fn inject(flags: Args) -> Result<ExitCode> {
    let plan = flags.plan()?;
    let halt = Arc::new(AtomicBool::new(false));
    heed_interrupts(Arc::clone(&halt))?;
    carry_out(plan, Feed::new, halt)
}

/// The first Ctrl-C ends the sending, the second the process.
fn heed_interrupts(halt: Arc<AtomicBool>) -> Result<()> {
    let handler = move || {
        if halt.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
    };
    ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")
}

/// Runs the plan and prints how it went, which the exit code says too.
fn carry_out(plan: Plan, feed: Make, halt: Arc<AtomicBool>) -> Result<ExitCode> {
    let run = run::run(plan, feed, halt)?;
    let report = Report::new(&run);
    let text = match (run.plan.json, report.failures.is_empty()) {
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

#[cfg(test)]
mod tests {
    //! What the program makes of a source that does not send what it should.

    use clap::Parser;
    use crossbeam_channel::bounded;
    use netrx_channel::ChannelSource;
    use netrx_mock::Faults;
    use serde_json::Value;

    use super::*;
    use crate::args::Source;
    use crate::feed::Order;
    use crate::report::Run;
    use crate::traffic::Frame;

    /// The frame that suffers.
    const VICTIM: u64 = 321;

    /// A channel through which frames pass as `spoil` leaves them, with trouble that must not matter.
    fn spoilt(order: Order, spoil: fn(Frame) -> Option<Frame>) -> Result<Feed> {
        let (frames, receiver) = bounded(16);
        let mut number = 0;
        let send = move || {
            order.send_all(|frame| {
                let frame = if number == VICTIM { spoil(frame) } else { Some(frame) };
                number += 1;
                frame.is_none_or(|frame| frames.send(frame).is_ok())
            });
        };
        let source = Faults::new(ChannelSource::new(receiver), 1, 0.1);
        Ok(Feed { source: Box::new(source), send: Some(Box::new(send)) })
    }

    fn sound(_: Source, order: Order) -> Result<Feed> {
        spoilt(order, Some)
    }

    fn losing(_: Source, order: Order) -> Result<Feed> {
        spoilt(order, |_| None)
    }

    fn corrupting(_: Source, order: Order) -> Result<Feed> {
        spoilt(order, |frame| {
            let mut bytes = frame.as_ref().to_vec();
            bytes[20] ^= 1;
            Some(Frame::Numbered(bytes))
        })
    }

    fn plan(flags: &str) -> Result<Plan> {
        Args::try_parse_from(flags.split(' '))?.plan()
    }

    fn exit(feed: Make, flags: &str) -> Result<ExitCode> {
        carry_out(plan(flags)?, feed, Arc::default())
    }

    /// A run, and its figures as they are printed.
    fn figures(feed: Make, flags: &str) -> Result<(Run, Value)> {
        let run = run::run(plan(flags)?, feed, Arc::default())?;
        let figures = serde_json::to_value(Report::new(&run))?;
        Ok((run, figures))
    }

    #[test]
    fn the_exit_code_tells_of_one_frame_that_was_lost_or_differs() -> Result<()> {
        for flags in
            ["inject --frames 1000", "inject --frames 1000 --mrg --json", "inject --frames 1000 --size 60"]
        {
            assert_eq!(exit(sound, flags)?, ExitCode::SUCCESS, "{flags}");
            assert_eq!(exit(losing, flags)?, ExitCode::from(1), "{flags}");
            assert_eq!(exit(corrupting, flags)?, ExitCode::from(1), "{flags}");
        }
        Ok(())
    }

    #[test]
    fn a_frame_that_was_lost_or_differs_is_in_the_figures() -> Result<()> {
        for (feed, delivered, corrupted) in
            [(sound as Make, 1000, 0), (losing, 999, 0), (corrupting, 1000, 1)]
        {
            let (_, figures) = figures(feed, "inject --frames 1000")?;
            assert_eq!(figures["frames_sent"], 1000);
            assert_eq!(figures["frames_delivered"], delivered);
            assert_eq!(figures["frames_corrupted"], corrupted);
        }
        Ok(())
    }

    #[test]
    fn interrupts_are_those_that_the_worker_counts() -> Result<()> {
        for flags in ["inject --frames 1000", "inject --frames 1000 --poll"] {
            let (run, figures) = figures(sound, flags)?;
            let stats = run.worked.stats;
            assert!(stats.irqs_raised + stats.irqs_suppressed > 0, "{flags}");
            assert_eq!(figures["irqs_raised"], stats.irqs_raised, "{flags}");
            assert_eq!(figures["irqs_suppressed"], stats.irqs_suppressed, "{flags}");
        }
        Ok(())
    }
}
