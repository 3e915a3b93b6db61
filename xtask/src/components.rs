//! What suites need beside cargo and rustc: each component can be looked for, installed, and given to a suite by
//! environment variables. Rust toolchains belong to the user: rustup is never asked to fetch one, only named in reasons.

mod cross_std;
mod kvm;
mod libkqueue;

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::{debian, process};

/// Variables a component adds to the environment of the suites that need it.
pub(crate) type Env = Vec<(String, OsString)>;

/// Something a suite needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    /// `cargo fmt`
    Rustfmt,
    /// `cargo clippy`
    Clippy,
    /// `cargo nextest`
    Nextest,
    /// A toolchain that answers to `cargo +nightly`
    Nightly,
    /// `cargo fuzz`
    CargoFuzz,
    /// What libFuzzer is built with
    CxxCompiler,
    /// The standard library of the targets of `cargo xtask cross`, or its source
    CrossStd,
    /// kqueue on Linux
    Libkqueue,
    /// A KVM that can do what its suite needs
    Kvm,
}

impl Component {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::Nextest => "cargo-nextest",
            Self::Nightly => "nightly toolchain",
            Self::CargoFuzz => "cargo-fuzz",
            Self::CxxCompiler => "C++ compiler",
            Self::CrossStd => "std of foreign targets",
            Self::Libkqueue => "libkqueue",
            Self::Kvm => "KVM",
        }
    }

    /// Finds the component or installs it; an error is the reason why neither worked.
    pub(crate) fn provide(self) -> Result<Env> {
        if !self.is_here() {
            println!("installing: {}", self.name());
            self.install()?;
            ensure!(self.is_here(), "installed, but still not found");
        }
        Ok(self.env())
    }

    fn is_here(self) -> bool {
        match self {
            Self::Rustfmt => process::succeeds(process::cargo().args(["fmt", "--version"])),
            Self::Clippy => process::succeeds(process::cargo().args(["clippy", "--version"])),
            Self::Nextest => process::succeeds(process::cargo().args(["nextest", "--version"])),
            Self::Nightly => process::succeeds(process::cargo().args(["+nightly", "--version"])),
            Self::CargoFuzz => process::succeeds(process::cargo().args(["fuzz", "--version"])),
            Self::CxxCompiler => process::succeeds(Command::new("c++").arg("--version")),
            Self::CrossStd => cross_std::is_here(),
            Self::Libkqueue => libkqueue::is_here(),
            Self::Kvm => kvm::check().is_ok(),
        }
    }

    fn install(self) -> Result<()> {
        match self {
            Self::Rustfmt => bail!("the toolchain has none, `rustup component add rustfmt` adds it"),
            Self::Clippy => bail!("the toolchain has none, `rustup component add clippy` adds it"),
            Self::Nextest => cargo_install("cargo-nextest"),
            Self::Nightly => bail!("none answers to `cargo +nightly`"),
            Self::CargoFuzz => cargo_install("cargo-fuzz"),
            Self::CxxCompiler => debian::install(&["g++"]),
            Self::CrossStd => cross_std::install(),
            Self::Libkqueue => libkqueue::install(),
            Self::Kvm => kvm::check(),
        }
    }

    fn env(self) -> Env {
        match self {
            Self::Libkqueue => libkqueue::env(),
            _ => Env::new(),
        }
    }
}

fn cargo_install(package: &str) -> Result<()> {
    process::stream(process::cargo().args(["install", "--locked", package]))
}
