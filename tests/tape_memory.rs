//! What a guest can make the host hold while frames are taped.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

use netrx::ring::SplitRing;
use netrx::space::Tape;
use netrx::{Engine, EngineConfig, Features, FrameSource, Gpa, Received, RxSpace, SourceError};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape};

/// Reads up to 64 frames of at most 1514 bytes, and finds none.
struct Reading(Arc<Mutex<usize>>);

impl FrameSource for Reading {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let mut tape = Tape::new();
        space.taped(&mut tape, |space| {
            if let Some(lent) = space.lend(1514, 64) {
                let bytes = |index| lent.buffers(index).iter().map(|buffer| buffer.len()).sum::<usize>();
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (0..lent.frames()).map(bytes).sum();
            }
        });
        Ok(Received::Empty)
    }

    fn wait(&mut self, _: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

#[test]
fn a_guest_with_a_megabyte_does_not_make_the_host_hold_more() -> Result<(), Box<dyn Error>> {
    let features = Features::VERSION_1;
    let memory = MockMemory::heap(&[1 << 20]);
    let mut driver = FakeDriver::new(&memory, DriverConfig::new(64, features, Shape::single(16)))?;
    let ring = SplitRing::new(driver.ring_config(), features, &memory)?;
    let mut engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
    // All of them are the same 256 KiB.
    for head in 0..64 {
        driver.hostile().descriptor(head, Gpa(0x4004_0000), 1 << 18, 2, 0).offer(head);
    }
    let held = Arc::new(Mutex::new(0));
    let _ = engine.poll(&mut Reading(Arc::clone(&held)), Instant::now())?;
    let held = *held.lock().map_err(|_| "poisoned")?;
    assert!(held > 0 && held <= 1 << 20, "{held} bytes of the host's are set aside for 64 frames of 1514");
    Ok(())
}
