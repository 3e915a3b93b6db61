//! Packages on a Debian-like machine: installed from its own suites, or unpacked in private from another suite of the
//! same mirror. Which mirror that is, only the machine knows: its sources are read, no host is named here.

mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, tree};

/// Installs packages of the machine's own suites, system-wide; only root can.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    ensure_debian()?;
    ensure!(is_root(), "not root: cannot install {}", packages.join(", "));
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").arg("-q");
        apt
    };
    process::capture(apt().arg("update"))?;
    process::capture(apt().args(["install", "-y", "--no-install-recommends"]).args(packages)).map(drop)
}

/// Unpacks packages of another suite into a folder; the system stays as it is, and no root is needed.
pub(crate) fn unpack(suite: &str, packages: &[&str], folder: &Path) -> Result<()> {
    ensure_debian()?;
    let apt = PrivateApt::new(suite)?;
    apt.run(&["update"])?;
    let archives = apt.download(packages)?;
    // Unpacked beside it and renamed: an interrupted run leaves nothing that looks complete.
    let partial = folder.with_extension("partial");
    tree::remove(&partial)?;
    for archive in &archives {
        process::capture(Command::new("dpkg").arg("-x").args([archive, &partial]))?;
    }
    tree::remove(folder)?;
    fs::rename(&partial, folder).with_context(|| format!("cannot create {}", folder.display()))?;
    tree::remove(&apt.home).context("cannot tidy up")
}

/// An apt that knows one suite of the machine's mirror and keeps to a folder of its own.
struct PrivateApt {
    home: PathBuf,
    sources: PathBuf,
    suite: String,
}

impl PrivateApt {
    fn new(suite: &str) -> Result<Self> {
        let home = tree::component(&format!("apt-{suite}"));
        for folder in ["lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(home.join(folder))
                .with_context(|| format!("cannot create {}", home.display()))?;
        }
        let entry =
            sources::of_machine(suite).context("no apt source of this machine to take the suite from")?;
        let sources = home.join("private").with_extension(entry.format.extension());
        fs::write(&sources, entry.text).context("cannot write the private sources")?;
        Ok(Self { home, sources, suite: suite.to_owned() })
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let option = |name: &str, path: &Path| ["-o".to_owned(), format!("{name}={}", path.display())];
        let mut apt = Command::new("apt-get");
        apt.env("LC_ALL", "C").arg("-q").current_dir(self.home.join("download"));
        apt.args(option("Dir::Etc::sourcelist", &self.sources));
        apt.args(option("Dir::Etc::sourceparts", Path::new("/dev/null")));
        apt.args(option("Dir::State::lists", &self.home.join("lists")));
        apt.args(option("Dir::Cache", &self.home.join("cache")));
        // apt's own unprivileged user may not write to our folder.
        apt.args(["-o", "APT::Sandbox::User=root"]);
        // A mirror without the suite is an error, not a warning.
        apt.args(["-o", "APT::Update::Error-Mode=any"]);
        process::capture(apt.args(args)).map(drop)
    }

    /// The downloaded archives.
    fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let wanted: Vec<_> = packages.iter().map(|package| format!("{package}/{}", self.suite)).collect();
        let mut args = vec!["download"];
        args.extend(wanted.iter().map(String::as_str));
        self.run(&args)?;
        let files = tree::entries(&self.home.join("download"));
        Ok(files.into_iter().filter(|file| tree::has_extension(file, "deb")).collect())
    }
}

fn ensure_debian() -> Result<()> {
    for tool in ["apt-get", "dpkg"] {
        ensure!(process::succeeds(Command::new(tool).arg("--version")), "not Debian-like: no {tool}");
    }
    Ok(())
}

fn is_root() -> bool {
    process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
