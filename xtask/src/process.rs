//! Running other programs: streamed to the terminal, or captured; an error always names the command.

mod telling;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use self::telling::Telling;
use crate::tree;

/// A command that ran and did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    command: String,
    status: ExitStatus,
    /// The lines of its output that say what failed; none where it wrote to a terminal, which has them all.
    pub(crate) telling: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.command, self.status)
    }
}

impl std::error::Error for Failure {}

/// `cargo`, in the workspace's root. Taken from PATH, not from `$CARGO`, so that `+nightly` works.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(tree::root());
    command
}

/// Runs it with its output going to ours.
///
/// # Errors
///
/// [`Failure`] where it ran and did not succeed.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    println!("$ {}{}", environment(command), words(command));
    let (status, telling) = if io::stdout().is_terminal() {
        command.status().map(|status| (status, Vec::new()))
    } else {
        relay(command)
    }
    .with_context(|| format!("cannot run `{}`", words(command)))?;
    if !status.success() {
        bail!(Failure { command: words(command), status, telling });
    }
    Ok(())
}

/// Runs it with its output going to ours line by line, and keeps the lines that say what failed.
fn relay(command: &mut Command) -> io::Result<(ExitStatus, Vec<String>)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = thread::scope(|scope| {
        let out = scope.spawn(|| copy_lines(out, io::stdout()));
        let err = copy_lines(err, io::stderr());
        // A panic of ours ends the task as it would on this thread.
        (out.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), err)
    });
    let status = child.wait()?;
    Ok((status, [err?, out?].concat()))
}

fn copy_lines(from: Option<impl Read>, mut to: impl Write) -> io::Result<Vec<String>> {
    let mut telling = Telling::default();
    let (mut from, mut line) = (from.map(BufReader::new), Vec::new());
    while let Some(from) = &mut from
        && from.read_until(b'\n', &mut line)? > 0
    {
        to.write_all(&line)?;
        telling.note(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(telling.into_lines())
}

/// Runs it silently and returns what it wrote to stdout; an error carries the line of stderr that says most.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", telling_line(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether it can be run and succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    capture(command).is_ok()
}

/// The variables a command adds to the environment, as one would type them in front of it.
fn environment(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    set.map(|(name, value)| format!("{}={} ", name.to_string_lossy(), quoted(value))).collect()
}

/// The command itself, as one would type it.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }
}

/// The first line that names an error, else the last one.
fn telling_line(stderr: &str) -> &str {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| line.starts_with("E: ") || line.starts_with("error"));
    error.or_else(|| lines.next_back()).unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("cargo");
        command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps"]);
        assert_eq!(environment(&command), "RUSTDOCFLAGS='-D warnings' ");
        assert_eq!(words(&command), "cargo doc --no-deps");
    }

    #[test]
    fn the_error_line_is_preferred_to_the_last_one() {
        assert_eq!(
            telling_line("W: old\nE: Unable to locate package x\nW: more\n"),
            "E: Unable to locate package x"
        );
        assert_eq!(telling_line("first\nlast\n\n"), "last");
        assert_eq!(telling_line(""), "it said nothing");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut Command::new("no-such-program-at-all")).map_err(|error| error.to_string());
        assert_eq!(error, Err("no-such-program-at-all cannot be run".to_owned()));
    }

    #[test]
    fn a_failing_program_gives_its_reason() {
        let error =
            capture(Command::new("sh").args(["-c", "echo 'E: no' >&2; exit 3"])).map_err(|e| e.to_string());
        assert_eq!(error, Err("sh failed: E: no".to_owned()));
    }
}
