//! Finds the example's program, and runs it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::{env, fs, io};

#[cfg(unix)]
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Runs the example with flags that are separated by spaces.
pub(crate) fn inject(flags: &str) -> io::Result<Ran> {
    run(&flags.split_whitespace().collect::<Vec<_>>())
}

/// Runs the example with these flags.
pub(crate) fn run(flags: &[&str]) -> io::Result<Ran> {
    Ok(command(flags)?.output()?.into())
}

/// Runs the example with a terminal as its stderr; returns what that was shown.
#[cfg(unix)]
pub(crate) fn shown(flags: &str) -> io::Result<String> {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&far)?;
    unlockpt(&far)?;
    let near = ptsname(&far, Vec::new())?.into_string().map_err(io::Error::other)?;
    let near = File::options().write(true).open(near)?;
    let mut child = command(&flags.split_whitespace().collect::<Vec<_>>())?.stderr(near).spawn()?;
    let mut shown = Vec::new();
    // A terminal that nobody writes to any more is an error to its reader.
    let _ = File::from(far).read_to_end(&mut shown);
    child.wait()?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// Runs the example with nobody at the other end of its stdout.
#[cfg(unix)]
pub(crate) fn into_closed_pipe(flags: &str) -> io::Result<Ran> {
    let mut command = command(&flags.split_whitespace().collect::<Vec<_>>())?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    Ok(child.wait_with_output()?.into())
}

/// Runs the example, and interrupts it as a terminal does, once frames have arrived.
#[cfg(unix)]
pub(crate) fn interrupted(flags: &str) -> io::Result<Ran> {
    let out = scratch("interrupted.pcapng");
    let flags = format!("{flags} --out {}", out.display());
    let mut command = command(&flags.split_whitespace().collect::<Vec<_>>())?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    while fs::metadata(&out).map_or(0, |file| file.len()) < 10_000 && child.try_wait()?.is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    let output = child.wait_with_output()?;
    fs::remove_file(out)?;
    Ok(output.into())
}

fn command(flags: &[&str]) -> io::Result<Command> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = match PROGRAM.get() {
        Some(program) => program,
        None => {
            let found = find()?;
            PROGRAM.get_or_init(|| found)
        }
    };
    let mut command = Command::new(program);
    command.args(flags).stdin(Stdio::null());
    Ok(command)
}

/// The example beside this test's own program. A run of all tests has built it, a run of this one alone perhaps not.
fn find() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    let folder = test.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?;
    let program = folder.join("examples").join(format!("inject{}", env::consts::EXE_SUFFIX));
    if is_outdated(&program) {
        build(folder)?;
    }
    Ok(program)
}

/// Whether one of the files that it was built of has changed. Cargo lists those beside it.
fn is_outdated(program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let (built, list) = (modified(program), fs::read_to_string(program.with_extension("d")));
    let (Ok(built), Ok(list)) = (built, list) else { return true };
    let mut sources = list.split_whitespace().skip(1);
    sources.any(|source| modified(Path::new(source)).is_ok_and(|changed| changed > built))
}

/// Builds it where this test was built.
fn build(folder: &Path) -> io::Result<()> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--example", "inject", "--profile", profile])
        .arg("--target-dir")
        .arg(target);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
    if built.success() { Ok(()) } else { Err(io::Error::other("the example does not build")) }
}

/// Where a test may put a file, of a name that no other test uses.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inject-{name}"))
}
