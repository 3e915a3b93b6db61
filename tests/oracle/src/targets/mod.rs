//! The bodies of the fuzz targets: each plays what its input says, and asserts.
//!
//! They are here, and not with the fuzzer, so that a stable toolchain runs every seed through them as a test, and can
//! step through what the fuzzer found.

mod arena;
mod descriptor_chain;
mod input;
mod mmio_ops;
mod net_hdr;
mod ring_bytes;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod ring_ops;
mod seeds;
mod tcp_ctl;

pub use seeds::{Seed, seeds};

/// Plays one input.
pub type Body = fn(&[u8]);

/// Each target's name and body.
pub const TARGETS: &[(&str, Body)] = &[
    ("descriptor_chain", descriptor_chain::play),
    ("mmio_ops", mmio_ops::play),
    ("net_hdr", net_hdr::play),
    ("ring_bytes", ring_bytes::play),
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    ("ring_ops", ring_ops::play),
    ("tcp_ctl", tcp_ctl::play),
];

/// Plays an input for the target of that name; the name of none does nothing.
pub fn play(target: &str, input: &[u8]) {
    let body = TARGETS.iter().find(|(name, _)| *name == target);
    body.into_iter().for_each(|(_, body)| body(input));
}
