//! The engine against a reference model, by scripts that proptest makes up and shrinks.
//!
//! A script has a driver post, take, sleep and shuffle, a source send frames, and the engine take turns, end and begin
//! again; [`strategies`] says from what. The play checks after each step that netrx did what the naive device did, byte
//! for byte ([`reference`]), and what `virtio-queue` did ([`differential`]); that frames came out in order with the
//! right header; that the ledgers balance; that a driver asleep was interrupted; and at the end that nothing was written
//! outside of the posted buffers. What takes too many steps for a script stands in [`interrupts`].
//!
//! How many scripts, and which, is proptest's own business: `PROPTEST_CASES=10000 cargo test --test model`.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod differential;
mod interrupts;
mod reference;
mod strategies;

use netrx_oracle::{Op, Setup, Stage};
use proptest::test_runner::TestCaseError;

/// Plays a script against the naive device.
fn play(setup: &Setup, ops: &[Op]) -> Result<(), TestCaseError> {
    let memory = setup.memory();
    let stage = Stage::new(&memory, setup.clone()).map_err(fail)?;
    run(stage, ops)
}

fn run(mut stage: Stage, ops: &[Op]) -> Result<(), TestCaseError> {
    ops.iter().try_for_each(|op| stage.play(*op)).map_err(fail)?;
    stage.finish().map_err(fail)?;
    stage.audit().map_err(fail)
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}
