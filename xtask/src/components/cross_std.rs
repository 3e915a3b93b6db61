//! The standard library of foreign targets: rustup's build of it, else its source for the nightly to build.
//!
//! Source that rustup has put there is taken as it is. Else it comes from Debian's package `rust-src`, whose `library`
//! folder is copied into the nightly's sysroot if it is of the same release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Component;
use crate::{cross, debian, process, tree};

/// Where Debian has a `rust-src` as new as a nightly.
const SUITE: &str = "sid";
/// Written beside the copied source, so that a later nightly does not take it for its own.
const STAMP: &str = "netrx-rust-src-release";

pub(super) fn is_here() -> bool {
    let every_std = cross::TARGETS.iter().all(|target| cross::has_std(target));
    every_std || (nightly_clippy() && source_fits().unwrap_or(false))
}

pub(super) fn install() -> Result<()> {
    Component::Nightly.provide()?;
    ensure!(nightly_clippy(), "the nightly has no clippy");
    from_debian().context("the toolchain has none, and no source from Debian")
}

fn nightly_clippy() -> bool {
    process::succeeds(process::cargo().args(["+nightly", "clippy", "--version"]))
}

/// Whether there is source in the nightly's sysroot, and of its release if it is a copy of ours.
fn source_fits() -> Result<bool> {
    let library = sysroot_source()?;
    let stamp = fs::read_to_string(library.join(STAMP)).ok();
    let nightly = nightly_release()?;
    Ok(library.join("Cargo.lock").exists() && stamp.is_none_or(|ours| ours == nightly))
}

fn from_debian() -> Result<()> {
    let unpacked = tree::component("rust-src");
    debian::unpack(SUITE, &["rust-src"], &unpacked)?;
    let (folder, found) = debian_source(&unpacked)?;
    let nightly = nightly_release()?;
    ensure!(found == nightly, "Debian's rust-src is {found}, the nightly is {nightly}");
    copy_in(&folder.join("library"), &sysroot_source()?, &nightly)?;
    tree::remove(&unpacked).context("cannot tidy up")
}

/// The package's `usr/src/rustc-VERSION`, and the release that is.
fn debian_source(unpacked: &Path) -> Result<(PathBuf, String)> {
    let folders = tree::entries(&unpacked.join("usr/src"));
    let found = folders.into_iter().find_map(|folder| {
        let name = folder.file_name()?.to_str()?;
        let release = release(name.strip_prefix("rustc-")?)?;
        Some((folder, release))
    });
    found.context("the package rust-src holds no usr/src/rustc-VERSION")
}

/// Copies beside the final place and then renames: half a copy is never taken for the whole.
fn copy_in(library: &Path, place: &Path, release: &str) -> Result<()> {
    let partial = place.with_extension("partial");
    for leftover in [partial.as_path(), place] {
        tree::remove(leftover).with_context(|| format!("cannot replace {}", leftover.display()))?;
    }
    fs::create_dir_all(place.parent().unwrap_or(place)).context("cannot write to the nightly's sysroot")?;
    process::capture(Command::new("cp").arg("-R").args([library, &partial]))?;
    fs::write(partial.join(STAMP), release).context("cannot write to the nightly's sysroot")?;
    fs::rename(&partial, place).context("cannot write to the nightly's sysroot")
}

fn sysroot_source() -> Result<PathBuf> {
    let sysroot = process::capture(Command::new("rustc").args(["+nightly", "--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library"))
}

fn nightly_release() -> Result<String> {
    let said = process::capture(Command::new("rustc").args(["+nightly", "--version"]))?;
    let version = said.split_whitespace().nth(1).and_then(release);
    version.with_context(|| format!("no version in {said:?}"))
}

/// `1.97` of `1.97.0-nightly`: the standard library of a release fits the nightlies that led to it.
fn release(version: &str) -> Option<String> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split('.').next()?;
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    (is_number(major) && is_number(minor)).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_major_and_minor() {
        assert_eq!(release("1.97.0-nightly").as_deref(), Some("1.97"));
        assert_eq!(release("1.97.1").as_deref(), Some("1.97"));
        assert_eq!(release("nightly"), None);
        assert_eq!(release("1.x"), None);
    }
}
