//! Starting, kicking, stopping, and starting again.

use std::any::Any;
use std::sync::{Arc, Weak};

use netrx::worker::{End, SlotError};
use netrx::{Features, IrqError, IrqLine, RxConfig, RxWorkerSlot};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, ScriptedSource, Shape};
use netrx_oracle::threads::activity;

use super::{Rig, Tested, eventually};

#[test]
fn a_stop_is_idempotent() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    assert!(rig.slot.stop()?.is_none(), "nothing ran yet");
    rig.slot.driver_ok(rig.config())?;
    assert!(rig.slot.stats().is_some());
    assert!(matches!(rig.stop()?.report.end, End::Stopped));
    assert!(rig.slot.stop()?.is_none() && rig.slot.reset()?.is_none() && rig.slot.stats().is_none());
    Ok(())
}

#[test]
fn a_kick_without_a_worker_is_harmless() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.kick();
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"kicked before the start")?;
    let _ = rig.stop()?;
    rig.slot.kick();
    Ok(())
}

/// Frames and buffers that were there before `DRIVER_OK` are found without a kick and without a new frame.
#[test]
fn what_was_ready_before_the_start_is_served() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    (0..4).for_each(|_| rig.script.frame(*b"earlier than the driver"));
    rig.slot.driver_ok(rig.config())?;
    assert_eq!(rig.frames(4)?.len(), 4);
    eventually("the interrupt comes", || rig.probe.raised() > 0);
    Ok(())
}

/// After a reset every part is in its place, and the guest's ring begins anew; 100 times.
#[test]
fn reset_and_start_again() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    for round in 0..100_u32 {
        rig.slot.driver_ok(rig.config())?;
        rig.pass(format!("a frame of round {round}").as_bytes())?;
        let report = rig.slot.reset()?.ok_or("a worker ran")?;
        assert!(matches!(report.end, End::Stopped) && report.stats.is_balanced());
        assert_eq!((report.stats.frames_delivered, report.stats.chains_held()), (1, 0));
        assert_eq!(report.stats.chains_popped, report.stats.chains_used + report.stats.chains_given_back);
        let memory = rig.driver.memory().clone();
        let config = DriverConfig::new(16, rig.driver.features(), Shape::single(2048));
        rig.driver = FakeDriver::new(&memory, config)?;
        rig.driver.post(16);
    }
    Ok(())
}

/// A stopped queue goes on from the cursor that the report gave, frame after frame.
#[test]
fn the_cursor_survives() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    for round in 1..=40_u16 {
        rig.slot.driver_ok(rig.config())?;
        rig.pass(format!("a frame of round {round}").as_bytes())?;
        let stopped = rig.stop()?;
        let cursor = stopped.report.cursor;
        assert_eq!((cursor.next_avail, cursor.next_used), (round, round), "what was not used was given back");
        // However often it was handed out, it is what it was.
        assert!((&*stopped.source as &dyn Any).is::<ScriptedSource>());
        rig.slot.offer_source(0, stopped.source);
        rig = rig.moved_to(cursor);
        rig.driver.post(1);
    }
    assert!(rig.driver.audit().is_ok());
    Ok(())
}

/// After a restore the guest is interrupted once, though its `used_event` asks for no interrupt and there is no frame.
#[test]
fn a_restored_queue_interrupts_once() -> Tested {
    for features in [Features::VERSION_1, Features::VERSION_1 | Features::EVENT_IDX] {
        let mut rig = Rig::new(features)?;
        rig.driver.ignore_interrupts();
        rig.slot.driver_ok(RxConfig { restored: true, ..rig.config() })?;
        eventually("the interrupt comes", || rig.probe.raised() > 0);
        rig.pass(b"after the restore")?;
        let stats = rig.stop()?.report.stats;
        assert_eq!((rig.probe.raised(), stats.irqs_raised), (1, 1), "{features:?}: once, and no more");
    }
    Ok(())
}

/// The features of the moment of `DRIVER_OK` hold until the next one: here the header's length and its contents.
#[test]
fn features_are_frozen_at_the_start() -> Tested {
    for (features, header) in [(Features::VERSION_1, 12), (Features::NONE, 10)] {
        let mut rig = Rig::new(features)?;
        let mut config = rig.config();
        rig.slot.driver_ok(config)?;
        config.features = Features::VERSION_1 | Features::MRG_RXBUF;
        assert!(matches!(rig.slot.driver_ok(config), Err(SlotError::Running)));
        rig.script.frame(*b"with the first header");
        eventually("it arrives", || rig.driver.has_used());
        let mut headers = Vec::new();
        rig.driver.drain(&mut Default::default(), |taken| headers.push(taken.header.len()))?;
        assert_eq!(headers, [header]);
    }
    Ok(())
}

/// A line that stops its own worker.
struct Suicidal {
    slot: Weak<RxWorkerSlot<MockMemory, Suicidal>>,
    answers: std::sync::mpsc::Sender<String>,
    /// Stops again and again, so that one of the calls meets another thread's stop.
    until_stopped: bool,
}

impl IrqLine for Suicidal {
    fn raise(&mut self) -> Result<(), IrqError> {
        let Some(slot) = self.slot.upgrade() else { return Ok(()) };
        let answer =
            |slot: &RxWorkerSlot<_, _>| format!("{:?}", slot.stop().map(|stopped| stopped.is_some()));
        let _ = self.answers.send(answer(&slot));
        // While another thread stops the worker, the slot has no counters to show.
        while self.until_stopped && slot.stats().is_some() {
            std::thread::yield_now();
        }
        let _ = self.answers.send(answer(&slot));
        Ok(())
    }
}

fn stop_from_within(until_stopped: bool) -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let (answers, heard) = std::sync::mpsc::channel();
    let slot = Arc::new_cyclic(|slot| {
        let mine = RxWorkerSlot::default();
        mine.deposit_irq(Suicidal { slot: Weak::clone(slot), answers, until_stopped });
        mine
    });
    slot.deposit_memory(rig.driver.memory().clone());
    let (source, script) = ScriptedSource::new();
    slot.offer_source(0, source);
    script.frame(*b"its interrupt ends the worker");
    slot.driver_ok(rig.config())?;
    assert_eq!(heard.recv_timeout(super::STUCK)?, "Err(OwnThread)");
    if !until_stopped {
        assert_eq!(heard.recv_timeout(super::STUCK)?, "Err(OwnThread)");
    }
    let stopped = slot.stop()?.ok_or("it ran")?;
    assert!(matches!(stopped.report.end, End::Stopped), "and was told to stop all the same: {stopped:?}");
    if until_stopped {
        assert_eq!(heard.try_recv()?, "Err(OwnThread)");
    }
    Ok(())
}

/// A line that drops the slot of its own worker, as the last to hold it.
struct Owner(std::sync::mpsc::Receiver<Arc<RxWorkerSlot<MockMemory, Owner>>>);

impl IrqLine for Owner {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.0.try_iter().for_each(drop);
        Ok(())
    }
}

#[test]
fn a_slot_that_its_worker_drops_ends_it_all_the_same() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let (hand, over) = std::sync::mpsc::channel();
    let slot = Arc::new(RxWorkerSlot::new("netrx-owner"));
    slot.deposit_irq(Owner(over));
    slot.deposit_memory(rig.driver.memory().clone());
    let (source, script) = ScriptedSource::new();
    slot.offer_source(0, source);
    slot.driver_ok(rig.config())?;
    runs("netrx-owner");
    hand.send(slot)?;
    script.frame(*b"its interrupt drops the slot");
    eventually("the worker ends", || activity("netrx-owner").is_none());
    Ok(())
}

#[test]
fn a_worker_cannot_wait_for_its_own_end() -> Tested {
    stop_from_within(false)
}

/// The same while another thread already waits for it: neither may wait for the other.
#[test]
fn nor_while_another_thread_stops_it() -> Tested {
    stop_from_within(true)
}

/// Waits until there is a thread of that name, which it gives to itself.
fn runs(name: &str) {
    eventually("the thread runs", || cfg!(not(target_os = "linux")) || activity(name).is_some());
}

/// Dropping the slot stops and joins the worker.
#[test]
fn a_dropped_slot_stops_its_worker() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?.renamed("netrx-dropped");
    rig.slot.driver_ok(rig.config())?;
    let Rig { slot, script, driver, .. } = rig;
    runs("netrx-dropped");
    drop(slot);
    assert_eq!(activity("netrx-dropped"), None);
    script.frame(*b"to nobody");
    assert!(!driver.has_used() && script.left() == 1);
    Ok(())
}
