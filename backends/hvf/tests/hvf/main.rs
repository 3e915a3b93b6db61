//! The backend on a stand-in for Apple's framework: the same code as on macOS, where the stand-in would clash with what it
//! stands for, and where these tests are empty.

#![cfg(stand_in)]

#[path = "../framework/mod.rs"]
mod framework;

mod conformance;
mod frames;
mod level;
mod memory;
mod refused;
mod rig;
mod vcpus;
