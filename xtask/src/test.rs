//! `cargo xtask test`: runs the suites one after the other and judges each.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::cli::TestArgs;
use crate::components::{Component, Env};
use crate::process::Failure;
use crate::report::{Report, Row, Verdict};
use crate::suites::{self, Cargo, Step, Suite};
use crate::{cross, fuzz, process, tree};

/// Runs what was asked for; success is for the report to say.
pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    if args.list {
        print!("{}", suites::listing());
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    for suite in suites::select(&args.only) {
        println!("\n=== {}: {}", suite.name, suite.about);
        let start = Instant::now();
        let verdict = judge(suite, args.seconds_fuzz);
        report.push(Row { suite: suite.name, verdict, seconds: start.elapsed().as_secs_f64() });
    }
    print!("\n{report}");
    Ok(if report.is_good(args.require_all) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(suite: &Suite, seconds_fuzz: u32) -> Verdict {
    let env = match gather(suite.needs) {
        Ok(env) => env,
        Err(reason) => return Verdict::Skipped(reason),
    };
    let run = |step: &Step| run_step(*step, &env, seconds_fuzz);
    match suite.steps.iter().try_for_each(run) {
        Ok(()) => Verdict::Passed,
        Err(error) => {
            let telling = error.downcast_ref::<Failure>().map(|failure| failure.telling.clone());
            Verdict::Failed { reason: format!("{error:#}"), telling: telling.unwrap_or_default() }
        }
    }
}

/// What the needed components put into the environment, or why one of them is missing.
fn gather(needs: &[Component]) -> Result<Env, String> {
    let mut env = Env::new();
    for component in needs {
        env.extend(component.provide().map_err(|reason| format!("{}: {reason:#}", component.name()))?);
    }
    Ok(env)
}

fn run_step(step: Step, env: &Env, seconds_fuzz: u32) -> Result<()> {
    match step {
        Step::Cargo(cargo) => process::stream(&mut command(cargo, env)),
        Step::Nextest(nextest, plain) => {
            let chosen = if Component::Nextest.provide().is_ok() { nextest } else { plain };
            process::stream(&mut command(chosen, env))
        }
        Step::Fuzz => fuzz::all(seconds_fuzz),
        Step::Cross => cross::all(),
    }
}

fn command(cargo: Cargo, env: &Env) -> Command {
    let mut command = process::cargo();
    command.args(cargo.args).envs(cargo.env.iter().copied()).envs(env.iter().cloned());
    if let Some(folder) = cargo.target {
        command.env("CARGO_TARGET_DIR", tree::target().join(folder));
    }
    command
}
