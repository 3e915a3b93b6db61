//! The command line: every task, its options and their help.

use clap::builder::{PossibleValuesParser, RangedI64ValueParser};
use clap::{Args, Parser, Subcommand};

use crate::{cross, suites};

/// How long the suite `fuzz` runs each target, in seconds.
const FUZZ_SMOKE_SECONDS: u32 = 60;

/// The project's own tasks.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    after_help = "\
Examples:
  cargo xtask test                     run every suite, skip what this machine cannot run
  cargo xtask test --require-all       what CI runs: a skipped suite counts as a failure
  cargo xtask cross                    clippy for macOS and FreeBSD
  cargo xtask fuzz ring_ops --seconds 1800
  cargo xtask bench --quick"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run the test suites and close with a table of their verdicts
    Test(TestArgs),
    /// Check the whole workspace with clippy for the platforms it is not run on
    Cross(CrossArgs),
    /// Run the benchmarks (all arguments go to the bench crate)
    Bench(BenchArgs),
    /// Run the fuzz targets
    Fuzz(FuzzArgs),
}

/// Run the test suites and close with a table of their verdicts.
///
/// A suite that lacks something (a tool, a library) first tries to install it; if that cannot be done here, the
/// suite is SKIPPED and the table says why. A failing suite does not stop the others. The last line printed is
/// `netrx: N passed, N failed, N skipped`; the exit code is 1 if anything failed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test --list
  cargo xtask test --only lint --only docs
  cargo xtask test --only fuzz --seconds-fuzz 600")]
pub(crate) struct TestArgs {
    /// Count a skipped suite as a failure
    #[arg(long)]
    pub(crate) require_all: bool,
    /// Run only this suite (may be given several times, or as a comma-separated list)
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = PossibleValuesParser::new(suites::names()))]
    pub(crate) only: Vec<String>,
    /// Name the suites and what they need, run nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// How long the suite `fuzz` runs each target
    #[arg(long, value_name = "N", default_value_t = FUZZ_SMOKE_SECONDS, value_parser = some_seconds())]
    pub(crate) seconds_fuzz: u32,
}

/// Check the whole workspace with clippy for the platforms it is not run on.
///
/// Where rustup has the target's standard library, that is used; else the nightly builds it from source, which is
/// fetched when it is missing. Nothing is linked, so no foreign linker is needed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask cross
  cargo xtask cross --target x86_64-unknown-freebsd")]
pub(crate) struct CrossArgs {
    /// Check for this target only (may be given several times)
    #[arg(long, value_name = "TRIPLE", value_parser = PossibleValuesParser::new(cross::TARGETS))]
    pub(crate) target: Vec<String>,
}

/// Run the benchmarks: `cargo run --release -p netrx-bench -- ARGS`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench              the full run: table, plots and report.json under target/bench/
  cargo xtask bench --quick      rougher figures within a minute")]
pub(crate) struct BenchArgs {
    /// Passed on to the bench crate as they are; `cargo xtask bench -- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

/// Run the fuzz targets, as many at a time as there are cores.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz --list
  cargo xtask fuzz                             every target, 60 seconds each
  cargo xtask fuzz ring_bytes --seconds 1800   one target, half an hour")]
pub(crate) struct FuzzArgs {
    /// The target to run; all when none is named
    pub(crate) target: Option<String>,
    /// How long to run each target
    #[arg(long, value_name = "N", default_value_t = FUZZ_SMOKE_SECONDS, value_parser = some_seconds())]
    pub(crate) seconds: u32,
    /// Name the targets, run nothing
    #[arg(long)]
    pub(crate) list: bool,
}

/// To libFuzzer, none would be for ever.
fn some_seconds() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_fuzzed_for_no_time_or_for_ever() {
        for args in [&["xtask", "fuzz", "--seconds", "0"], &["xtask", "test", "--seconds-fuzz", "0"]] {
            assert!(Cli::try_parse_from(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn bench_passes_everything_on() {
        let parsed =
            Cli::try_parse_from(["xtask", "bench", "--quick", "ring", "--seed", "7"]).map(|cli| cli.task);
        assert!(matches!(parsed, Ok(Task::Bench(bench)) if bench.args == ["--quick", "ring", "--seed", "7"]));
    }

    #[test]
    fn only_takes_known_suites_alone_or_as_a_list() {
        let parsed = Cli::try_parse_from(["xtask", "test", "--only", "lint,docs", "--only", "cross"]);
        assert!(
            matches!(parsed.map(|cli| cli.task), Ok(Task::Test(test)) if test.only == ["lint", "docs", "cross"])
        );
        assert!(Cli::try_parse_from(["xtask", "test", "--only", "no-such-suite"]).is_err());
    }
}
