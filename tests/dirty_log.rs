//! The dirty log of the used ring's words: each is marked after it was written, so that whoever harvests the log at that
//! moment copies what was written.

#![allow(unsafe_code, reason = "forwards the contract of the memory it watches")]

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use netrx::mem::{GuestArray, Region, Translator};
use netrx::ring::SplitRing;
use netrx::{Engine, EngineConfig, Features, Gpa, GuestMemory, Progress};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, ScriptedSource, Shape};

/// The used ring's flags and index.
type Words = [u16; 2];

/// Memory with a log, and what a migration that copies at each mark has of two words.
#[derive(Clone)]
struct Logged {
    memory: MockMemory,
    used: Gpa,
    copied: Arc<Mutex<Words>>,
}

impl Logged {
    fn words(&self) -> Words {
        let mut translator = Translator::new(&self.memory);
        let words = GuestArray::<u16>::new(&mut translator, self.used, 2).unwrap_or_default();
        [0, 1].map(|word| words.load(word, Ordering::SeqCst))
    }

    fn copied(&self) -> Words {
        *self.copied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: forwards to the memory it holds.
unsafe impl GuestMemory for Logged {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.memory.region(at)
    }

    fn logs_writes(&self) -> bool {
        true
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        if at <= self.used && self.used.0 < at.0 + u64::from(len) {
            *self.copied.lock().unwrap_or_else(PoisonError::into_inner) = self.words();
        }
    }
}

/// Polls an engine over eight buffers with so many frames; returns the memory.
fn polled(frames: usize, progress: Progress) -> Result<Logged> {
    let memory = MockMemory::heap(&[1 << 16]);
    let mut driver = FakeDriver::new(&memory, DriverConfig::new(8, Features::VERSION_1, Shape::single(200)))?;
    driver.post(8);
    let logged = Logged { used: driver.ring_config().used, memory, copied: Arc::default() };
    let ring = SplitRing::new(driver.ring_config(), driver.features(), &logged)?;
    let mut engine = Engine::new(ring, logged.clone(), MockIrq::new().0, EngineConfig::default());
    let (mut source, script) = ScriptedSource::new();
    (0..frames).for_each(|_| script.frame([1; 60]));
    assert_eq!(engine.poll(&mut source, Instant::now())?, progress);
    Ok(logged)
}

#[test]
fn the_index_is_logged_after_it_is_written() -> Result<()> {
    let logged = polled(1, Progress::Idle)?;
    assert_eq!((logged.words()[1], logged.copied()), (1, logged.words()));
    Ok(())
}

#[test]
fn the_flags_are_logged_when_kicks_are_asked_for_no_longer() -> Result<()> {
    let logged = polled(0, Progress::Idle)?;
    assert_eq!((logged.words()[0], logged.copied()), (1, logged.words()));
    Ok(())
}

#[test]
fn the_flags_are_logged_when_kicks_are_asked_for() -> Result<()> {
    let logged = polled(9, Progress::Starved)?;
    assert_eq!((logged.words()[0], logged.copied()), (0, logged.words()));
    Ok(())
}
