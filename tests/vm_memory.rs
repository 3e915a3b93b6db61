//! Guest memory of rust-vmm's `vm-memory`: the suites, the dirty log, and memory that is plugged in while the engine runs.
#![cfg(feature = "vm-memory")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use netrx::mem::{AtomicMemory, GuestArray, Translator, Word};
use netrx::ring::{Cursor, RingConfig, SplitRing};
use netrx::{Engine, EngineConfig, Features, Gpa, GuestMemory, Progress, RxConfig};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, ScriptedSource, Shape, conformance};
use vm_memory::bitmap::{AtomicBitmap, Bitmap};
use vm_memory::{
    Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend, GuestMemoryMmap,
    GuestMemoryRegion,
};

type Done = Result<(), Box<dyn Error>>;

const LOW: u64 = 0x1000;
const HIGH: u64 = 0x10_0000;
const LEN: usize = 0x1_0000;

fn two_regions() -> Result<GuestMemoryMmap, vm_memory::mmap::FromRangesError> {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(LOW), LEN), (GuestAddress(HIGH), LEN)])
}

#[test]
fn mmap_passes_the_suite() {
    conformance::memory(|| {
        let memory = two_regions().unwrap_or_default();
        assert_eq!(memory.num_regions(), 2, "the system has two mappings to spare");
        (memory, vec![(Gpa(LOW), LEN), (Gpa(HIGH), LEN)])
    });
}

#[test]
fn atomic_passes_the_suite() {
    conformance::memory(|| {
        let memory = GuestMemoryAtomic::new(two_regions().unwrap_or_default());
        (AtomicMemory::from(memory), vec![(Gpa(LOW), LEN), (Gpa(HIGH), LEN)])
    });
}

#[test]
fn a_driver_in_it_gets_its_frames() -> Done {
    let memory = Arc::new(two_regions()?);
    let guest = MockMemory::over(Arc::clone(&memory), &[(Gpa(LOW), LEN), (Gpa(HIGH), LEN)]);
    let config = DriverConfig::new(16, Features::VERSION_1, Shape::chained(&[1000, 4000]));
    let mut driver = FakeDriver::new(&guest, config)?;
    assert_eq!(driver.post(8).chains, 8);
    let ring = SplitRing::new(driver.ring_config(), driver.features(), &*memory)?;
    let mut engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
    let (mut source, script) = ScriptedSource::new();
    let frames: Vec<_> = (1..=8).map(|number| vec![number; 4000]).collect();
    frames.iter().for_each(|frame| script.frame(&frame[..]));
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Idle);
    assert_eq!(driver.drain_frames()?, frames);
    driver.audit()?;
    Ok(())
}

/// A ring of four at the start of the low region, written by hand.
fn ring() -> RingConfig {
    RingConfig {
        size: 4,
        desc: Gpa(LOW),
        avail: Gpa(LOW + 0x100),
        used: Gpa(LOW + 0x200),
        start: Cursor::default(),
    }
}

fn word<T: Word>(memory: &impl GuestMemory, at: u64, value: T) -> Done {
    let words = GuestArray::new(&mut Translator::new(memory), Gpa(at), 1)?;
    words.store(0, value, std::sync::atomic::Ordering::Release);
    Ok(())
}

/// Makes one writable buffer available as head and entry `index`.
fn post(memory: &impl GuestMemory, index: u16, buffer: u64, len: u32) -> Done {
    word(memory, LOW + 16 * u64::from(index), buffer)?;
    word(memory, LOW + 16 * u64::from(index) + 8, u64::from(len) | 2 << 32)?;
    word(memory, LOW + 0x104 + 2 * u64::from(index), index)?;
    word(memory, LOW + 0x102, index + 1)
}

#[test]
fn every_write_is_in_the_dirty_log() -> Done {
    let ranges = [(GuestAddress(LOW), LEN), (GuestAddress(HIGH), LEN)];
    let memory = Arc::new(GuestMemoryMmap::<AtomicBitmap>::from_ranges(&ranges)?);
    let buffer = HIGH + 0x2ff8;
    post(&memory, 0, buffer, 2048)?;
    let ring = SplitRing::new(ring(), Features::VERSION_1, &*memory)?;
    let mut engine = Engine::new(ring, memory.clone(), MockIrq::new().0, EngineConfig::default());
    let (mut source, script) = ScriptedSource::new();
    script.frame(vec![1; 100]);
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Idle);
    let region = memory.find_region(GuestAddress(HIGH)).ok_or("the high region")?;
    let dirty = |offset| region.bitmap().dirty_at(offset);
    assert_eq!((dirty(0x2ff8), dirty(0x3000)), (true, true), "the frame crosses a page");
    assert_eq!((dirty(0x1fff), dirty(0x4000)), (false, false), "and touches no other");
    let low = memory.find_region(GuestAddress(LOW)).ok_or("the low region")?;
    assert!(low.bitmap().dirty_at(0x200), "the used ring was written too");
    Ok(())
}

#[test]
fn a_swapped_map_is_seen_at_the_next_turn() -> Done {
    let small = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(LOW), LEN)])?;
    let atomic = GuestMemoryAtomic::new(small);
    let memory = AtomicMemory::from(atomic.clone());
    post(&memory, 0, HIGH, 2048)?;
    let ring = SplitRing::new(ring(), Features::VERSION_1, &memory)?;
    let mut engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
    let (mut source, script) = ScriptedSource::new();
    script.frame(vec![7; 64]);
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Starved);
    assert_eq!(engine.counters().snapshot().chains_bad, 1, "nothing backs the buffer yet");

    let plugged = atomic.memory().insert_region(Arc::new(vm_memory::GuestRegionMmap::from_range(
        GuestAddress(HIGH),
        LEN,
        None,
    )?))?;
    atomic.lock().map_err(|_| "poisoned")?.replace(plugged);
    let memory = AtomicMemory::from(atomic.clone());
    post(&memory, 1, HIGH, 2048)?;
    assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Idle);
    // By the crate's own accessor, as a VMM finds it.
    let mut frame = [0; 64];
    atomic.memory().read_slice(&mut frame, GuestAddress(HIGH + 12))?;
    assert_eq!(frame, [7; 64]);
    Ok(())
}

/// Memory that was plugged in between the deposit of the parts and the driver's start.
#[test]
fn a_queue_may_begin_in_memory_that_came_late() -> Done {
    let atomic = GuestMemoryAtomic::new(GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(HIGH), LEN)])?);
    let memory = AtomicMemory::from(atomic.clone());
    atomic.lock().map_err(|_| "poisoned")?.replace(two_regions()?);
    netrx::ring::TxReader::new(ring(), Features::VERSION_1, memory.clone())?;
    let slot = netrx::RxWorkerSlot::default();
    slot.deposit_memory(memory);
    slot.deposit_irq(MockIrq::new().0);
    slot.offer_source(0, ScriptedSource::new().0);
    let engine = EngineConfig::default();
    slot.driver_ok(RxConfig { ring: ring(), features: Features::VERSION_1, engine, restored: false })?;
    assert!(slot.stop()?.is_some());
    Ok(())
}

#[test]
fn a_frame_to_be_sent_whose_memory_is_unplugged_is_counted() -> Done {
    let atomic = GuestMemoryAtomic::new(two_regions()?);
    let memory = AtomicMemory::from(atomic.clone());
    post(&memory, 0, HIGH, 112)?;
    // For the device to read.
    word(&memory, LOW + 8, 112_u64)?;
    let mut reader = netrx::ring::TxReader::new(ring(), Features::VERSION_1, memory)?;
    // There is no way to send it now: it is to come again.
    assert!(reader.turn()?.frame()?.is_some());
    let (small, _) = atomic.memory().remove_region(GuestAddress(HIGH), LEN as u64)?;
    atomic.lock().map_err(|_| "poisoned")?.replace(small);
    let mut turn = reader.turn()?;
    assert!(turn.frame()?.is_none(), "nothing backs it any more");
    assert!(turn.publish(), "the driver gets it back");
    let stats = reader.stats();
    assert_eq!(stats.frames + stats.chains_bad, 1, "a used entry that nothing counts: {stats:?}");
    Ok(())
}
