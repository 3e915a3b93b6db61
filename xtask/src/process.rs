//! Running other programs: streamed to the terminal, or captured; an error always names the command.

mod telling;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

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
    if io::stdout().is_terminal() {
        watch(command, |command| command.status().map(|status| (status, Vec::new())))
    } else {
        watch(command, |command| relay(command, ""))
    }
}

/// The same beside other commands: `label` stands before each line of the output.
///
/// # Errors
///
/// [`Failure`] where it ran and did not succeed.
pub(crate) fn stream_labelled(command: &mut Command, label: &str) -> Result<()> {
    watch(command, |command| relay(command, label))
}

/// Shows it, has it run, and makes its status an error unless it is success.
fn watch(
    command: &mut Command,
    run: impl FnOnce(&mut Command) -> io::Result<(ExitStatus, Vec<String>)>,
) -> Result<()> {
    println!("$ {}{}", environment(command), words(command));
    let (status, telling) = run(command).with_context(|| format!("cannot run `{}`", words(command)))?;
    if !status.success() {
        bail!(Failure { command: words(command), status, telling });
    }
    Ok(())
}

/// How long the rest of a program's output is waited for: one that it left behind may keep the pipes open.
const REST: Duration = Duration::from_secs(2);

/// Runs it with its output going to ours line by line, behind `label`, and keeps the lines that say what failed. Colours
/// would hide those.
fn relay(command: &mut Command, label: &str) -> io::Result<(ExitStatus, Vec<String>)> {
    let command = command.env("CARGO_TERM_COLOR", "never").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let copies = [
        child.stderr.take().map(|err| copy_lines(err, label, io::stderr())),
        child.stdout.take().map(|out| copy_lines(out, label, io::stdout())),
    ];
    let status = child.wait()?;
    let telling = copies.into_iter().flatten().filter_map(|copy| copy.recv_timeout(REST).ok());
    Ok((status, telling.flatten().collect()))
}

/// Copies line by line on a thread of its own, and tells at the end which lines say what failed.
fn copy_lines(
    from: impl Read + Send + 'static,
    label: &str,
    mut to: impl Write + Send + 'static,
) -> Receiver<Vec<String>> {
    let (done, told) = mpsc::channel();
    let label = label.as_bytes().to_vec();
    thread::spawn(move || {
        let (mut from, mut line, mut telling) = (BufReader::new(from), label.clone(), Telling::default());
        // What cannot be read or shown ends the copy, and the program is judged by its status.
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) && to.write_all(&line).is_ok() {
            let said = String::from_utf8_lossy(line.get(label.len()..).unwrap_or_default());
            telling.note(said.trim_end());
            line.truncate(label.len());
        }
        done.send(telling.into_lines())
    });
    told
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
    use std::time::Instant;

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
    fn what_failed_is_kept_of_both_outputs_and_nobody_left_behind_is_waited_for() -> io::Result<()> {
        let begin = Instant::now();
        let (status, _) = relay(Command::new("sh").args(["-c", "sleep 60 & echo $! >&2; exit 3"]), "")?;
        assert!(status.code() == Some(3) && begin.elapsed() < Duration::from_secs(50));
        let both = ["-c", "echo error: one; echo error: other >&2"];
        let (_, telling) = relay(Command::new("sh").args(both), "label: ")?;
        assert_eq!(telling, ["error: other", "error: one"]);
        Ok(())
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
