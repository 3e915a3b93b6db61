//! Against `virtio-queue` over `vm-memory`, on a copy of the same memory.
//!
//! Both are given the same frames and the same driver; what they leave in guest memory must be the same to the last
//! byte, the used ring, its flags and `avail_event` included, and they must interrupt at the same turns. What is left
//! out, because the two knowingly differ, stands with `RustVmm`.

use netrx_oracle::{RustVmm, Setup, Stage};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::{fail, run, strategies};

fn stage(setup: &Setup) -> Result<Stage, TestCaseError> {
    let memory = setup.memory();
    let mut stage = Stage::new(&memory, setup.clone()).map_err(fail)?;
    let duel = stage.duel();
    let rival = RustVmm::new(&memory, *duel.ring(), setup.features).map_err(fail)?;
    duel.against(rival);
    Ok(stage)
}

proptest! {
    #[test]
    fn the_same_bytes_and_the_same_interrupts(
        setup in strategies::setup(strategies::small()),
        ops in strategies::ops(80),
    ) {
        run(stage(&setup)?, &ops)?;
    }
}
