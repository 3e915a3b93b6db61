//! What a worker tells by `tracing`.

use std::collections::BTreeMap;
use std::error::Error;

use netrx::engine::{Stats, WhenFull};
use netrx::spec::Checksum;
use netrx::spec::ring::DESC_WRITE;
use netrx::{DropReason, EngineConfig, Features, FrameMeta, Gpa};
use netrx_mock::events::{told_anywhere, told_by};
use netrx_mock::{DriverConfig, IrqFault, Placing, ScriptedSource, Shape};

use super::{Rig, STUCK, Tested};

/// What the event of these counters has to say.
fn expected(stats: &Stats) -> BTreeMap<&'static str, String> {
    let counters = [
        ("frames_taken", stats.frames_taken),
        ("frames_delivered", stats.frames_delivered),
        ("bytes_delivered", stats.bytes_delivered),
        ("dropped_ring_full", stats.dropped(DropReason::RingFull)),
        ("dropped_too_long", stats.dropped(DropReason::TooLong)),
        ("dropped_runt", stats.dropped(DropReason::Runt)),
        ("dropped_offload", stats.dropped(DropReason::Offload)),
        ("chains_popped", stats.chains_popped),
        ("chains_used", stats.chains_used),
        ("chains_bad", stats.chains_bad),
        ("chains_emptied", stats.chains_emptied),
        ("chains_given_back", stats.chains_given_back),
        ("irqs_raised", stats.irqs_raised),
        ("irqs_suppressed", stats.irqs_suppressed),
        ("irqs_failed", stats.irqs_failed),
        ("starved", stats.starved),
    ];
    let said = ("message", "receive counters".to_owned());
    counters.map(|(name, count)| (name, count.to_string())).into_iter().chain([said]).collect()
}

/// The counters of a run, once, at its end. Other tests of this process may have theirs.
#[test]
fn the_counters_are_an_event_at_the_end() -> Tested {
    let events = told_anywhere()?;
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.driver_ok(rig.config())?;
    rig.pass(&[7; 321])?;
    let expected = expected(&rig.stop()?.report.stats);
    assert_eq!(expected["bytes_delivered"], "321");
    while events.recv_timeout(STUCK)?.fields != expected {}
    Ok(())
}

/// The counters of an engine that had trouble of every kind.
fn troubled(when_full: WhenFull) -> Result<Stats, Box<dyn Error>> {
    const OFFLOAD: FrameMeta =
        FrameMeta { checksum: Checksum::Partial { start: 34, offset: 16 }, segmentation: None };
    let driver = DriverConfig::new(64, Features::VERSION_1, Shape::single(100));
    let mut rig = netrx_mock::Rig::with(driver, EngineConfig { when_full, ..EngineConfig::default() })?;
    let (mut source, script) = ScriptedSource::placing(Placing::Read { largest: 80, batch: 3 });
    let send = |lens: &[usize]| lens.iter().for_each(|len| script.frame(vec![1; *len]));
    for head in 0..3 {
        rig.driver.hostile().descriptor(head, Gpa(0), 100, DESC_WRITE, 0).offer(head);
    }
    rig.driver.ignore_interrupts();
    rig.driver.post(8);
    for _ in 0..6 {
        send(&[13, 60, 13, 200, 13]);
        (0..2).for_each(|_| script.frame_with([1; 60], OFFLOAD));
        let _ = rig.poll(&mut source)?;
    }
    // Interrupts are wanted from here on; the line is busy for the first of them, and the guest soon full.
    let _ = rig.driver.want_interrupt();
    rig.irq.fail([IrqFault::Busy; 4]);
    send(&[60; 20]);
    while script.left() > 0 {
        let _ = rig.poll(&mut source);
        rig.driver.post(2);
    }
    // The first of these two chains stays free behind the second, and then beside a third.
    rig.driver.post(8);
    send(&[200, 60]);
    let _ = rig.poll(&mut source)?;
    send(&[200]);
    let _ = rig.poll(&mut source)?;
    Ok(rig.engine.finish().stats)
}

/// An engine whose guest has no room starves or drops, so it takes two for all of the counters.
#[test]
fn the_event_has_every_counter() -> Tested {
    for (when_full, never) in [(WhenFull::Wait, "dropped_ring_full"), (WhenFull::DropNewest, "starved")] {
        let stats = troubled(when_full)?;
        let ((), told) = told_by(|| stats.trace());
        assert_eq!(Vec::from_iter(told.iter().map(|event| &event.fields)), [&expected(&stats)]);
        let zero = told.iter().flat_map(|event| &event.fields).filter(|(_, count)| *count == "0");
        assert_eq!(Vec::from_iter(zero.map(|(name, _)| *name)), [never], "what did not happen");
    }
    Ok(())
}
