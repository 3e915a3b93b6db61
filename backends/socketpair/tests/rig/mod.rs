//! Guests and frames for the tests of this crate.

#![allow(dead_code, reason = "no test uses all of it")]

use std::time::Duration;

use netrx::{EngineConfig, Features};
use netrx_mock::{DriverConfig, MockMemory, Rig, Shape, traffic};

/// How long anything may take before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

pub(crate) fn merged() -> Features {
    Features::VERSION_1 | Features::MRG_RXBUF
}

pub(crate) fn guest(size: u16, features: Features, shape: Shape) -> Rig {
    let memory = MockMemory::heap(&[2 << 20, 2 << 20]);
    let driver = DriverConfig::new(size, features, shape);
    Rig::on(&memory, driver, EngineConfig::default()).expect("a guest")
}

/// A guest with buffers for plain frames.
pub(crate) fn plain_guest() -> Rig {
    guest(128, Features::VERSION_1, Shape::single(2048))
}

/// Frame `number` of `len` bytes.
pub(crate) fn frame(number: u64, len: usize) -> Vec<u8> {
    traffic::frame(number, len)
}

/// The frames' numbers; a frame that is not whole has none.
pub(crate) fn numbers(frames: &[Vec<u8>]) -> Vec<Option<u64>> {
    frames.iter().map(|frame| traffic::number(frame)).collect()
}

/// These numbers, as [`numbers`] gives them.
pub(crate) fn whole(numbers: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
    numbers.into_iter().map(Some).collect()
}
