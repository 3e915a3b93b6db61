//! Memory whose layout changes: it panics or is not there at all when the next turn begins, or what was popped is gone or
//! elsewhere.

#![allow(unsafe_code, reason = "forwards the contract of the memory that it hides")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use netrx::engine::Stats;
use netrx::mem::Region;
use netrx::ring::{SplitRing, TxReader};
use netrx::{Engine, EngineConfig, Features, Gpa, GuestMemory, Progress};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, ScriptedSource, Shape};

/// Memory of which only what is below an address is there, and the rest elsewhere or nowhere; it tells of a change once. At
/// [`PANIC`] it panics.
struct Ebbing {
    memory: MockMemory,
    elsewhere: Option<MockMemory>,
    shore: Arc<AtomicU64>,
    has_told: bool,
}

const PANIC: u64 = 1;

// SAFETY: forwards to the memories it holds, which keep all of their mappings: what is hidden is mapped all the same.
unsafe impl GuestMemory for Ebbing {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        let shore = self.shore.load(Ordering::Relaxed);
        assert_ne!(shore, PANIC, "the memory's own code fails");
        let is_here = at.0 < shore;
        if is_here { self.memory.region(at) } else { self.elsewhere.as_ref()?.region(at) }
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
    let ebbing = Ebbing { memory, elsewhere: None, shore: Arc::clone(&shore), has_told: false };
    let mut reader = TxReader::new(driver.ring_config(), features, ebbing)?;
    assert!(reader.turn()?.frame()?.is_some(), "it is looked at, and not sent yet");
    shore.store(PANIC, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| reader.turn().is_ok())).is_err());
    shore.store(high.0, Ordering::Relaxed);
    assert!(reader.turn()?.frame()?.is_none(), "its bytes are not there any more");
    assert_eq!(reader.stats().chains_bad, 1);
    shore.store(0, Ordering::Relaxed);
    assert!(reader.turn().is_err(), "not even the ring is there");
    shore.store(u64::MAX, Ordering::Relaxed);
    assert!(reader.turn().is_err(), "what is broken stays so");
    Ok(())
}

/// A chain of 30 high bytes is popped for a frame of 60, the high memory goes, and chains of 100 low bytes come: the used
/// entries then, and the counters.
fn popped_before(memory: &MockMemory, elsewhere: Option<MockMemory>) -> Result<(Vec<(u32, u32)>, Stats)> {
    let &[(_, _), (high, _)] = memory.regions() else { anyhow::bail!("two regions") };
    let features = Features::VERSION_1 | Features::MRG_RXBUF;
    let mut driver = FakeDriver::new(memory, DriverConfig::new(8, features, Shape::single(100)))?;
    driver.hostile().descriptor(0, high, 30, 2, 0).offer(0);
    let shore = Arc::new(AtomicU64::new(u64::MAX));
    let ebbing = Ebbing { memory: memory.clone(), elsewhere, shore: Arc::clone(&shore), has_told: false };
    let ebbing: Box<dyn GuestMemory> = Box::new(ebbing);
    let ring = SplitRing::new(driver.ring_config(), features, &ebbing)?;
    let mut engine = Engine::new(ring, ebbing, MockIrq::new().0, EngineConfig::default());
    let (mut source, script) = ScriptedSource::new();
    script.frame([7; 60]);
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Starved);
    shore.store(high.0, Ordering::Relaxed);
    let mut guest = driver.hostile();
    // The fake driver's own buffers are in both regions.
    let &(low, _) =
        (0..8).flat_map(|chain| guest.buffers(chain)).find(|(at, _)| *at < high).context("a low one")?;
    guest.descriptor(1, low, 100, 2, 0).offer(1);
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Idle);
    let used = guest.used();
    // Given back, it may come again.
    guest.descriptor(0, low, 100, 2, 0).offer(0);
    script.frame([7; 60]);
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Idle);
    assert_eq!(guest.used(), [(0, 72)]);
    Ok((used, engine.counters().snapshot()))
}

#[test]
fn what_was_popped_and_is_gone_comes_back_empty() -> Result<()> {
    let (used, stats) = popped_before(&MockMemory::heap(&[1 << 16, 1 << 16]), None)?;
    assert_eq!(used, [(0, 0), (1, 72)]);
    assert_eq!((stats.chains_emptied, stats.chains_bad, stats.frames_delivered), (1, 0, 2));
    Ok(())
}

#[test]
fn what_was_popped_is_written_where_it_is_now() -> Result<()> {
    let [memory, elsewhere] = [0; 2].map(|_| MockMemory::heap(&[1 << 16, 1 << 16]));
    let (used, stats) = popped_before(&memory, Some(elsewhere.clone()))?;
    assert_eq!(used, [(0, 30), (1, 42)]);
    assert_eq!((stats.chains_emptied, stats.chains_bad, stats.frames_delivered), (0, 0, 2));
    let &[low, (high, _)] = memory.regions() else { anyhow::bail!("two regions") };
    memory.audit(&[(low.0, low.1 as u64)])?;
    let mut frame = [0; 18];
    elsewhere.slice(Gpa(high.0 + 12), 18)?.copy_to(&mut frame);
    assert_eq!(frame, [7; 18]);
    Ok(())
}
