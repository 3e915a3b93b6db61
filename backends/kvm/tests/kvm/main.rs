//! The backend on the machine's own `/dev/kvm`. Where that is missing or lacks something, each test says SKIPPED and why;
//! with the environment variable `NETRX_KVM=required` it fails instead.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod conformance;
mod frames;
#[path = "../guest/mod.rs"]
mod guest;
mod level;
mod msi;
mod not_a_vm;
mod refused;
mod rig;
mod vcpus;
mod watcher;
