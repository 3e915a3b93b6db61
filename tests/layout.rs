//! Memory whose layout changes, and is not there at all when the next turn begins.

#![allow(unsafe_code, reason = "forwards the contract of the memory that it hides")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use netrx::mem::Region;
use netrx::ring::TxReader;
use netrx::{Features, Gpa, GuestMemory};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Shape};

/// Memory of which only what is below an address is there; it tells of a change once.
struct Ebbing {
    memory: MockMemory,
    shore: Arc<AtomicU64>,
    has_told: bool,
}

// SAFETY: forwards to the memory it holds, which keeps all of its mappings: what is hidden is mapped all the same.
unsafe impl GuestMemory for Ebbing {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.memory.region(at).filter(|_| at.0 < self.shore.load(Ordering::Relaxed))
    }

    fn refresh(&mut self) -> bool {
        let tells = !self.has_told && self.shore.load(Ordering::Relaxed) < u64::MAX;
        self.has_told |= tells;
        tells
    }
}

/// The change is told of to a turn that cannot begin: the next one, which is told of none, still looks anew.
#[test]
fn a_change_outlives_a_turn_that_could_not_begin() -> Result<()> {
    let memory = MockMemory::heap(&[1 << 16, 1 << 16]);
    let high = memory.regions().last().context("two regions")?.0;
    let features = Features::VERSION_1;
    let mut driver = FakeDriver::new(&memory, DriverConfig::new(8, features, Shape::single(16)))?;
    driver.hostile().descriptor(0, high, 72, 0, 0).offer(0);
    let shore = Arc::new(AtomicU64::new(u64::MAX));
    let ebbing = Ebbing { memory, shore: Arc::clone(&shore), has_told: false };
    let mut reader = TxReader::new(driver.ring_config(), features, ebbing)?;
    assert!(reader.turn()?.frame()?.is_some(), "it is looked at, and not sent yet");
    shore.store(0, Ordering::Relaxed);
    assert!(reader.turn().is_err(), "not even the ring is there");
    shore.store(high.0, Ordering::Relaxed);
    assert!(reader.turn()?.frame()?.is_none(), "its bytes are not there any more");
    assert_eq!(reader.stats().chains_bad, 1);
    Ok(())
}
