//! Depositing parts, and starting with too few or wrong ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Instant;

use netrx::ring::{ConfigError, Cursor};
use netrx::worker::{Part, SlotError};
use netrx::{Features, FrameSource, IrqId, Received, RxConfig, RxSpace, SourceError};
use netrx_mock::{MockHypervisor, MockIrq, MockMemory, ScriptedSource};

use super::{Rig, Slot, Tested, eventually};

#[test]
fn every_missing_part_is_named_and_the_deposited_ones_stay() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let slot = Slot::default();
    let missing = |slot: &Slot| match slot.driver_ok(rig.config()) {
        Err(SlotError::Missing(parts)) => parts,
        other => unreachable!("parts are missing: {other:?}"),
    };
    assert_eq!(missing(&slot), [Part::Memory, Part::Irq, Part::Source]);
    slot.deposit_irq(MockIrq::new().0);
    assert_eq!(missing(&slot), [Part::Memory, Part::Source]);
    slot.offer_source(0, ScriptedSource::new().0);
    assert_eq!(missing(&slot), [Part::Memory]);
    slot.deposit_memory(rig.driver.memory().clone());
    slot.driver_ok(rig.config())?;
    assert!(slot.stop()?.is_some());
    Ok(())
}

#[test]
fn the_error_reads_as_a_sentence() {
    let error = SlotError::Missing(vec![Part::Memory, Part::Source]);
    assert_eq!(
        error.to_string(),
        "the receive worker cannot start without the guest's memory, a frame source: deposit or offer it first"
    );
}

/// Three parts in all six orders, each from a thread of its own.
#[test]
fn parts_come_in_any_order_from_any_thread() -> Tested {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut rig = Rig::new(Features::VERSION_1)?;
        let slot = Arc::new(Slot::default());
        let (source, script) = ScriptedSource::new();
        let mut parts = (Some(rig.driver.memory().clone()), Some(MockIrq::to(&rig.probe)), Some(source));
        for part in order {
            assert!(matches!(slot.driver_ok(rig.config()), Err(SlotError::Missing(_))));
            let (slot, memory, irq, source) = (
                Arc::clone(&slot),
                parts.0.take_if(|_| part == 0),
                parts.1.take_if(|_| part == 1),
                parts.2.take_if(|_| part == 2),
            );
            let depositor = thread::spawn(move || {
                memory.into_iter().for_each(|memory| slot.deposit_memory(memory));
                irq.into_iter().for_each(|irq| slot.deposit_irq(irq));
                source.into_iter().for_each(|source| slot.offer_source(0, source));
            });
            assert!(depositor.join().is_ok());
        }
        slot.driver_ok(rig.config())?;
        (rig.slot, rig.script) = (slot, script);
        rig.pass(b"in any order at all")?;
    }
    Ok(())
}

#[test]
fn a_name_may_hold_whatever_it_likes() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?.renamed("vm\x00 \u{fe0f}\n/rx");
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"the thread has a name all the same")
}

#[test]
fn a_hypervisor_gives_memory_and_line() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let machine = MockHypervisor::new(rig.driver.memory().clone(), 1);
    let slot = Slot::default();
    assert!(slot.deposit_hypervisor(&machine, IrqId(1)).is_err(), "there is no interrupt 1");
    assert!(
        matches!(slot.driver_ok(rig.config()), Err(SlotError::Missing(parts)) if parts.len() == 3),
        "and nothing was deposited"
    );
    slot.deposit_hypervisor(&machine, IrqId(0))?;
    let (source, script) = ScriptedSource::new();
    slot.offer_source(0, source);
    slot.driver_ok(rig.config())?;
    (rig.slot, rig.script) = (Arc::new(slot), script);
    rig.pass(b"through the hypervisor")?;
    let probe = machine.probe(IrqId(0)).ok_or("it has such a line")?;
    eventually("the line is raised", || probe.raised() == 1);
    Ok(())
}

/// Of eight threads that see `DRIVER_OK` at once, one starts the worker; 50 rounds.
#[test]
fn concurrent_starts_start_one_worker() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    for round in 0..50 {
        let start = |_| {
            let (slot, config) = (Arc::clone(&rig.slot), rig.config());
            thread::spawn(move || slot.driver_ok(config))
        };
        let callers: Vec<_> = (0..8).map(start).collect();
        let answers: Vec<_> = callers.into_iter().flat_map(thread::JoinHandle::join).collect();
        let started = answers.iter().filter(|answer| answer.is_ok()).count();
        let refused = answers.iter().filter(|answer| matches!(answer, Err(SlotError::Running))).count();
        assert_eq!((started, refused), (1, 7), "round {round}");
        assert!(rig.slot.reset()?.is_some());
    }
    Ok(())
}

/// The best source is taken, of equals the first; the others wait for the next start.
#[test]
fn the_source_of_the_highest_rank_is_taken() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let offer = |rank| {
        let (source, script) = ScriptedSource::new();
        rig.slot.offer_source(rank, source);
        script
    };
    let (best, equal, worse) = (offer(7), offer(7), offer(3));
    for (place, script) in [best, equal, worse, rig.script.clone()].into_iter().enumerate() {
        rig.slot.driver_ok(rig.config())?;
        rig.script = script;
        rig.pass(format!("frame of the source in place {place}").as_bytes())?;
        let cursor = rig.stop()?.report.cursor;
        assert_eq!(cursor.next_used, place as u16 + 1);
        // The next worker takes up where this one ended.
        rig = rig.moved_to(cursor);
    }
    assert!(
        matches!(rig.slot.driver_ok(rig.config()), Err(SlotError::Missing(parts)) if parts == [Part::Source])
    );
    Ok(())
}

/// Registers that make no sense, or lie outside of memory, take no part away.
#[test]
fn a_wrong_configuration_leaves_the_parts() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let good = rig.config();
    for size in [0, 3, 32769] {
        let mut bad = good;
        bad.ring.size = size;
        let answer = rig.slot.driver_ok(bad);
        assert!(matches!(answer, Err(SlotError::Config(ConfigError::Size(found))) if found == size));
    }
    let mut misaligned = good;
    misaligned.ring.used.0 += 2;
    let answer = rig.slot.driver_ok(misaligned);
    assert!(matches!(answer, Err(SlotError::Config(ConfigError::Misaligned { area: "used ring", .. }))));
    for (next_avail, next_used) in [(0, 1), (17, 0), (16, u16::MAX)] {
        let mut astray = good;
        astray.ring.start = Cursor { next_avail, next_used };
        let answer = rig.slot.driver_ok(astray);
        assert!(matches!(answer, Err(SlotError::Config(ConfigError::Start { size: 16, .. }))), "{answer:?}");
    }
    for feature in [Features::RING_PACKED, Features::IN_ORDER, Features::HASH_REPORT] {
        let answer = rig.slot.driver_ok(RxConfig { features: good.features | feature, ..good });
        assert!(matches!(answer, Err(SlotError::Config(ConfigError::Features(found))) if found == feature));
    }
    let mut outside = good;
    outside.ring.avail.0 = 0;
    let answer = rig.slot.driver_ok(outside);
    assert!(matches!(answer, Err(SlotError::Config(ConfigError::Ring(_)))));
    rig.slot.driver_ok(good)?;
    rig.pass(b"all the parts are still there")
}

/// Has no waker to give.
struct Stubborn;

impl FrameSource for Stubborn {
    fn recv(&mut self, _: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        Ok(Received::Closed)
    }

    fn wait(&mut self, _: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        unreachable!("it is asked for one")
    }
}

#[test]
fn a_source_that_panics_at_the_start_takes_no_part_away() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.offer_source(1, Stubborn);
    let answer = catch_unwind(AssertUnwindSafe(|| rig.slot.driver_ok(rig.config())));
    assert!(answer.is_err(), "{answer:?}");
    let (source, script) = ScriptedSource::new();
    rig.slot.offer_source(2, source);
    rig.script = script;
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"memory and line are still there")
}

/// What is deposited while a worker runs is for the next one.
#[test]
fn a_part_for_the_next_start_does_not_disturb_this_one() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.driver_ok(rig.config())?;
    let (irq, newer) = MockIrq::new();
    rig.slot.deposit_irq(irq);
    rig.slot.deposit_memory(MockMemory::heap(&[1 << 12]));
    rig.pass(b"to the line of the first start")?;
    let stopped = rig.stop()?;
    assert_eq!((rig.probe.raised(), newer.raised()), (1, 0));
    rig.slot.deposit_memory(rig.driver.memory().clone());
    rig = rig.moved_to(stopped.report.cursor);
    let (source, script) = ScriptedSource::new();
    rig.slot.offer_source(0, source);
    rig.script = script;
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"to the line of the second one")?;
    rig.stop()?;
    assert_eq!((rig.probe.raised(), newer.raised()), (1, 1));
    Ok(())
}
