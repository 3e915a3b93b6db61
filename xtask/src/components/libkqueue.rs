//! libkqueue: kqueue's interface on Linux, so that the kqueue code path runs for real there.
//!
//! The system's own is taken if it is new enough. Else Debian's packages are unpacked below the target folder; nothing
//! is installed. Suites are then told of them by
//!
//! - `NETRX_LIBKQUEUE_DIR`: the folder that holds `libkqueue.so`, for the build script to link from; unset when the
//!   system's library is meant,
//! - `LD_LIBRARY_PATH`: that folder in front of what was there, for the tests to load it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Env;
use crate::{debian, process, tree};

/// The first version seen to work.
const OLDEST: &str = "2.3";
/// Where Debian has it, until it reaches a release.
const SUITE: &str = "experimental";
const PACKAGES: [&str; 2] = ["libkqueue0t64", "libkqueue-dev"];

pub(super) fn is_here() -> bool {
    unpacked().is_some() || system_has_it()
}

pub(super) fn install() -> Result<()> {
    debian::unpack(SUITE, &PACKAGES, &folder())?;
    unpacked().context("the packages hold no libkqueue.so").map(drop)
}

pub(super) fn env() -> Env {
    unpacked().map(|library| variables(&library, env::var_os("LD_LIBRARY_PATH"))).unwrap_or_default()
}

fn folder() -> PathBuf {
    tree::component("libkqueue")
}

/// The folder below ours in which the library lies: `usr/lib/TRIPLE`.
fn unpacked() -> Option<PathBuf> {
    // `exists` follows the link to the library itself.
    tree::entries(&folder().join("usr/lib")).into_iter().find(|lib| lib.join("libkqueue.so").exists())
}

fn system_has_it() -> bool {
    let at_least = format!("--atleast-version={OLDEST}");
    process::succeeds(Command::new("pkg-config").args([&at_least, "libkqueue"]))
}

fn variables(library: &Path, loaded_before: Option<OsString>) -> Env {
    let mut search = library.as_os_str().to_owned();
    if let Some(before) = loaded_before.filter(|before| !before.is_empty()) {
        search.push(":");
        search.push(before);
    }
    vec![("NETRX_LIBKQUEUE_DIR".to_owned(), library.into()), ("LD_LIBRARY_PATH".to_owned(), search)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(before: Option<&str>) -> Option<OsString> {
        variables(Path::new("unpacked/lib"), before.map(Into::into)).pop().map(|(_, value)| value)
    }

    #[test]
    fn our_library_is_found_before_others() {
        assert_eq!(search(Some("a:b")), Some("unpacked/lib:a:b".into()));
    }

    #[test]
    fn no_empty_entry_means_the_current_folder() {
        assert_eq!(search(None), Some("unpacked/lib".into()));
        assert_eq!(search(Some("")), Some("unpacked/lib".into()));
    }
}
