//! The dirty log: every byte that is written is in it, and the used ring's words are marked after they were written, so that
//! whoever harvests the log at that moment copies what was written.

#![allow(unsafe_code, reason = "forwards the contract of the memory it watches")]

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, ensure};
use netrx::mem::{GuestArray, Region, Translator};
use netrx::ring::SplitRing;
use netrx::space::Tape;
use netrx::{
    Engine, EngineConfig, Features, FrameMeta, Gpa, GuestMemory, Placed, Progress, Received, RxSpace,
};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, ScriptedSource, Shape, from_fn};

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

/// Memory with a log of single bytes.
#[derive(Clone)]
struct Marked {
    memory: MockMemory,
    marks: Arc<Mutex<HashSet<u64>>>,
}

impl Marked {
    fn contents(&self) -> Result<Vec<(u64, u8)>> {
        let mut contents = Vec::new();
        for &(start, len) in self.memory.regions() {
            let mut bytes = vec![0; len];
            self.memory.slice(start, len)?.copy_to(&mut bytes);
            contents.extend((start.0..).zip(bytes));
        }
        Ok(contents)
    }

    /// Does something, and finds a byte that was written and is not in the log.
    fn check<T>(&self, write: impl FnOnce() -> T) -> Result<T> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let before = self.contents()?;
        let done = write();
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        for ((at, was), (_, is)) in before.into_iter().zip(self.contents()?) {
            ensure!(was == is || marks.contains(&at), "{} is not marked", Gpa(at));
        }
        Ok(done)
    }
}

// SAFETY: forwards to the memory it holds.
unsafe impl GuestMemory for Marked {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.memory.region(at)
    }

    fn logs_writes(&self) -> bool {
        true
    }

    fn mark_written(&self, at: Gpa, len: u32) {
        let bytes = at.0..at.0 + u64::from(len);
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
    }
}

/// Places a frame in one way, or has it dropped.
type Way = fn(&mut RxSpace<'_>, &[u8]) -> Placed;

const WAYS: [(&str, Way); 5] = [
    ("put", |space, frame| space.put(frame, FrameMeta::PLAIN)),
    ("put in a burst", |space, frame| match space.put_burst([frame]) {
        0 => Placed::NoRoom,
        _ => Placed::Delivered,
    }),
    ("read", read),
    ("put, taped", |space, frame| space.taped(&mut Tape::new(), |space| space.put(frame, FrameMeta::PLAIN))),
    ("read, taped", |space, frame| space.taped(&mut Tape::new(), |space| read(space, frame))),
];

/// Reads as a datagram socket is read, which cuts what is longer than was said.
fn read(space: &mut RxSpace<'_>, frame: &[u8]) -> Placed {
    let Some(mut lent) = space.lend(100, 3) else { return Placed::NoRoom };
    let whole = lent.copy_in(0, frame) == frame.len();
    if whole { lent.fill(frame.len(), FrameMeta::PLAIN) } else { lent.cut() }
}

/// Takes turns until the ring has wrapped more than once, and has the engine end with chains left.
fn every_byte_is_marked(features: Features, shape: &Shape, way: Way) -> Result<()> {
    let memory = MockMemory::heap(&[1 << 14, 1 << 14]);
    let mut driver = FakeDriver::new(&memory, DriverConfig::new(16, features, shape.clone()))?;
    let marked = Marked { memory, marks: Arc::default() };
    let ring = SplitRing::new(driver.ring_config(), driver.features(), &marked)?;
    let mut engine = Engine::new(ring, marked.clone(), MockIrq::new().0, EngineConfig::default());
    let mut byte = 0;
    for frames in [1, 20, 11, 7] {
        driver.post(usize::MAX);
        let mut left = frames;
        let mut source = from_fn(|space| {
            while left > 0 {
                byte += 1;
                let len = if left == 3 { 900 } else { 75 };
                if way(space, &vec![byte; len]) == Placed::NoRoom {
                    return Received::More;
                }
                left -= 1;
            }
            Received::Empty
        });
        let _ = marked.check(|| engine.poll(&mut source, Instant::now()))??;
        driver.drain_frames()?;
    }
    driver.post(usize::MAX);
    marked.check(|| engine.finish())?;
    Ok(())
}

#[test]
fn every_byte_that_is_written_is_in_the_log() -> Result<()> {
    let shapes = [Shape::single(200), Shape::chained(&[5, 30, 90]), Shape::indirect(&[16, 16, 16, 200])];
    for extra in [Features::NONE, Features::EVENT_IDX, Features::MRG_RXBUF] {
        let features = Features::VERSION_1 | Features::INDIRECT_DESC | extra;
        for shape in &shapes {
            for (name, way) in WAYS {
                let case = every_byte_is_marked(features, shape, way);
                ensure!(case.is_ok(), "{name}, {shape:?}, {features:?}: {case:?}");
            }
        }
    }
    Ok(())
}
