//! How a worker ends by itself: a typed reason, every part back, and a start that works.

#![allow(clippy::panic, reason = "a hook is told to panic")]

use std::sync::mpsc;

use netrx::worker::{End, Report, SlotError};
use netrx::{EngineError, Features, IrqError, RxConfig, SourceError};
use netrx_mock::IrqFault;

use super::{Rig, STUCK, Tested};

/// Lets `trouble` end a worker, hears of it by the hook, and starts again; returns the report.
fn ends_by(trouble: impl FnOnce(&Rig), as_told: &str) -> Result<Report, Box<dyn std::error::Error>> {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel();
    rig.slot.on_end(move |end| {
        let thread = std::thread::current().name().map(str::to_owned);
        let _ = told.send((format!("{end:?}"), thread));
    });
    rig.script.frame(*b"the frame before the trouble");
    trouble(&rig);
    rig.slot.driver_ok(rig.config())?;
    let (end, thread) = heard.recv_timeout(STUCK)?;
    assert!(end.contains(as_told), "{end} does not say `{as_told}`");
    assert_eq!(thread.as_deref(), Some("netrx-slot-test"), "the hook is called on the worker's thread");
    let report = rig.slot.reset()?.ok_or("its report waits")?;
    assert!(report.stats.is_balanced() && report.stats.chains_held() == 0, "{:?}", report.stats);
    assert_eq!(rig.frames(1)?, [b"the frame before the trouble"]);
    rig = rig.moved_to(report.cursor);
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"the frame after the trouble")?;
    assert!(rig.driver.audit().is_ok() && heard.try_recv().is_err(), "the hook is called once");
    Ok(report)
}

#[test]
fn a_source_that_closes() -> Tested {
    let report = ends_by(|rig| rig.script.close(), "Closed")?;
    assert!(matches!(report.end, End::Closed));
    assert_eq!(report.stats.irqs_raised, 1, "the frame was interrupted for");
    Ok(())
}

#[test]
fn a_source_that_fails() -> Tested {
    let report = ends_by(|rig| rig.script.fail(), "the script says so")?;
    assert!(matches!(report.end, End::Failed(EngineError::Source(SourceError::Other(_)))));
    assert_eq!(report.stats.irqs_raised, 1, "the frame was interrupted for");
    Ok(())
}

#[test]
fn a_source_that_panics() -> Tested {
    let report = ends_by(|rig| rig.script.panic(), "the script says so")?;
    assert!(matches!(report.end, End::Panicked(message) if message == "the script says so"));
    assert_eq!(report.stats.irqs_raised, 1, "the frame was interrupted for");
    Ok(())
}

#[test]
fn a_line_that_breaks() -> Tested {
    let report = ends_by(|rig| rig.probe.fail([IrqFault::Broken]), "told to break")?;
    assert!(matches!(report.end, End::Failed(EngineError::Irq(IrqError::Failed(_)))));
    assert!(report.stats.irqs_failed > 0);
    Ok(())
}

/// The line fails over a frame, and again at the end. The report says so, and the next worker makes up for it.
#[test]
fn a_line_that_is_broken_to_the_end() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel();
    rig.slot.on_end(move |_| told.send(()).unwrap_or_default());
    rig.probe.fail([IrqFault::Broken, IrqFault::Broken]);
    rig.script.frame(*b"a frame that nobody is told of");
    rig.slot.driver_ok(rig.config())?;
    heard.recv_timeout(STUCK)?;
    let report = rig.slot.reset()?.ok_or("its report waits")?;
    assert!(report.owes_interrupt && report.stats.irqs_raised == 0, "{report:?}");
    rig = rig.moved_to(report.cursor);
    rig.slot.driver_ok(RxConfig { restored: report.owes_interrupt, ..rig.config() })?;
    super::eventually("the interrupt comes", || rig.probe.raised() == 1);
    assert!(!rig.stop()?.report.owes_interrupt);
    Ok(())
}

#[test]
fn a_line_that_panics() -> Tested {
    let report = ends_by(|rig| rig.probe.fail([IrqFault::Panic]), "the line was told to panic")?;
    assert!(matches!(report.end, End::Panicked(message) if message == "the line was told to panic"));
    assert_eq!(report.stats.irqs_raised, 1, "the interrupt was owed, and raised at the end");
    Ok(())
}

/// The source panics over a frame, and the line over the interrupt for that frame: the first reason is told.
#[test]
fn a_source_and_then_a_line_that_panic() -> Tested {
    let trouble = |rig: &Rig| {
        rig.script.panic();
        rig.probe.fail([IrqFault::Panic]);
    };
    let report = ends_by(trouble, "the script says so")?;
    assert!(matches!(report.end, End::Panicked(message) if message == "the script says so"));
    Ok(())
}

/// A line that breaks, and panics over the interrupt that is still owed at the end.
#[test]
fn a_line_that_panics_over_the_last_interrupt() -> Tested {
    let trouble = |rig: &Rig| {
        rig.script.close();
        rig.probe.fail([IrqFault::Broken, IrqFault::Panic]);
    };
    let report = ends_by(trouble, "told to break")?;
    assert!(matches!(report.end, End::Failed(EngineError::Irq(IrqError::Failed(_)))));
    Ok(())
}

/// The hook may be set at any time, by itself, too.
#[test]
fn a_hook_that_comes_late() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel();
    let slot = std::sync::Arc::downgrade(&rig.slot);
    let first = told.clone();
    rig.slot.driver_ok(rig.config())?;
    rig.slot.on_end(move |_| {
        if let Some(slot) = slot.upgrade() {
            let second = told.clone();
            slot.on_end(move |_| second.send(2).unwrap_or_default());
        }
        first.send(1).unwrap_or_default();
    });
    for number in 1..3 {
        rig.script.close();
        assert_eq!(heard.recv_timeout(STUCK)?, number);
        assert!(rig.slot.reset()?.is_some());
        rig.slot.driver_ok(rig.config())?;
    }
    Ok(())
}

/// The line is busy while the source fails: the interrupt for the frames before that is insisted on.
#[test]
fn a_source_that_fails_while_the_line_is_busy() -> Tested {
    let trouble = |rig: &Rig| {
        rig.script.fail();
        rig.probe.fail([IrqFault::Busy; 5]);
    };
    let report = ends_by(trouble, "Source")?;
    assert!(matches!(report.end, End::Failed(EngineError::Source(_))));
    assert_eq!((report.stats.irqs_failed, report.stats.irqs_raised), (5, 1));
    Ok(())
}

/// A hook that panics takes no part along.
#[test]
fn a_hook_that_panics() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.on_end(|end| std::panic::panic_any(format!("{end:?} is too much for the hook")));
    rig.script.close();
    rig.slot.driver_ok(rig.config())?;
    super::eventually("the source closes", || rig.script.left() == 0);
    let report = rig.slot.reset()?.ok_or("its report is there")?;
    assert!(matches!(report.end, End::Closed), "{:?}", report.end);
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"every part was there")
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any("it went off");
    }
}

/// What a replaced hook holds is dropped on the worker's thread, and may panic. That is told, and new parts work.
#[test]
fn a_hook_that_leaves_a_bomb() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let (slot, bomb) = (std::sync::Arc::downgrade(&rig.slot), Bomb);
    rig.slot.on_end(move |_| {
        let _ = &bomb;
        slot.upgrade().into_iter().for_each(|slot| slot.on_end(|_| {}));
    });
    rig.script.close();
    rig.slot.driver_ok(rig.config())?;
    super::eventually("the source closes", || rig.script.left() == 0);
    let lost = rig.slot.stop();
    assert!(matches!(&lost, Err(SlotError::Lost(message)) if message == "it went off"), "{lost:?}");
    assert!(matches!(rig.slot.stop(), Ok(None)));
    let missing = rig.slot.driver_ok(rig.config());
    assert!(matches!(&missing, Err(SlotError::Missing(parts)) if parts.len() == 3), "{missing:?}");
    Ok(())
}

/// A busy line is tried again until it takes the interrupt; nothing ends.
#[test]
fn a_line_that_is_busy_for_a_while() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    rig.probe.fail([IrqFault::Busy; 5]);
    rig.slot.driver_ok(rig.config())?;
    rig.pass(b"interrupted for in the end")?;
    super::eventually("the interrupt comes", || rig.probe.raised() == 1);
    let stats = rig.stop()?.report.stats;
    assert_eq!((stats.irqs_failed, stats.irqs_raised), (5, 1));
    Ok(())
}

/// A guest whose index makes no sense ends the worker once, with a reason that says what to do.
#[test]
fn a_ring_that_makes_no_sense() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel();
    rig.slot.on_end(move |end| drop(told.send(format!("{end:?}"))));
    let index = rig.driver.hostile().next_avail();
    rig.driver.hostile().avail_index(index.wrapping_add(100));
    rig.slot.driver_ok(rig.config())?;
    assert!(heard.recv_timeout(STUCK)?.contains("IndexJump"));
    let report = rig.slot.reset()?.ok_or("its report waits")?;
    assert!(
        matches!(&report.end, End::Failed(error @ EngineError::Ring(_)) if error.to_string().contains("needs a reset"))
    );
    Ok(())
}
