//! A VMM as small as they get, on Apple's Hypervisor framework: one vCPU, a GIC, and a network card on virtio-mmio.
//!
//! ```text
//! crossbeam channel --> MmioDevice's worker --LevelPin--> GIC --> guest
//!                            ^                               |
//!                            +--read, write-- vCPU's loop <--+ exits
//! ```
//!
//! On macOS it runs a program for AArch64, a flat file that is entered at EL1 at the start of RAM (`vmm::RAM`):
//!
//! ```text
//! cargo build --example vmm && codesign -s - --entitlements FILE target/debug/examples/vmm
//! target/debug/examples/vmm PROGRAM
//! ```
//!
//! FILE says `com.apple.security.hypervisor`. On Linux the same VMM runs on the tests' stand-in for the framework, and its
//! guest is a closure with a driver in it (`guest.rs`).

#[cfg(supported)]
mod card;
#[cfg(supported)]
mod cpu;
#[cfg(stand_in)]
#[path = "../../tests/framework/mod.rs"]
mod framework;
#[cfg(stand_in)]
mod guest;
#[cfg(supported)]
mod vm;
#[cfg(supported)]
mod vmm;

/// Makes a VM with the Hypervisor framework, or with a stand-in for it where there is none, and delivers three frames to its
/// virtio-mmio network card. It ends when the guest turns the machine off.
#[cfg(supported)]
#[derive(clap::Parser)]
struct Args {
    /// The guest's program: a flat file for AArch64, entered at EL1 at its beginning
    #[cfg(framework)]
    program: std::path::PathBuf,
}

#[cfg(supported)]
fn main() -> anyhow::Result<()> {
    run(clap::Parser::parse())
}

#[cfg(framework)]
fn run(Args { program: file }: Args) -> anyhow::Result<()> {
    use anyhow::Context;
    use netrx::mem::Translator;

    let program = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let (len, ram) = (program.len(), vmm::RAM_LEN);
    anyhow::ensure!(len <= ram, "{} has {len} bytes, the guest's memory {ram}", file.display());
    let load = |memory: &_| Ok(Translator::new(memory).contiguous(vmm::RAM, len)?.copy_from(&program));
    vmm::run(load).map(drop)
}

#[cfg(stand_in)]
fn run(Args {}: Args) -> anyhow::Result<()> {
    use std::io::{Write, stdout};

    writeln!(
        stdout(),
        "no Hypervisor framework here: a stand-in takes its place, and the guest is a closure"
    )?;
    let framework = framework::Framework::bare();
    let taken = vmm::run(|memory| {
        framework.boot(guest::program(memory.clone())?);
        Ok(())
    })?;
    anyhow::ensure!(taken == vmm::FRAMES.len() as u64, "the guest took {taken} frames");
    Ok(())
}

#[cfg(not(supported))]
fn main() {
    println!("this runs on macOS on Apple silicon, and on Linux against a stand-in");
}

#[cfg(stand_in)]
#[test]
fn the_guest_gets_its_frames() -> anyhow::Result<()> {
    run(Args {})
}
