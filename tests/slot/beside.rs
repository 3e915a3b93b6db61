//! What a worker does not depend on: the vCPUs of its guest, and other guests.

use std::sync::Arc;

use netrx::{Features, IrqId, RxWorkerSlot};
use netrx_mock::{MockHypervisor, ScriptedSource};

use super::{Rig, Tested, eventually};

/// A guest that goes on posting in time never kicks, so no vCPU leaves it, and nobody makes one leave: frames and interrupts
/// come all the same.
#[test]
fn frames_need_no_exit_of_a_vcpu() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    let machine = MockHypervisor::new(rig.driver.memory().clone(), 1);
    let slot = RxWorkerSlot::default();
    slot.deposit_hypervisor(&machine, IrqId(0))?;
    let (source, script) = ScriptedSource::new();
    slot.offer_source(0, source);
    (rig.slot, rig.script) = (Arc::new(slot), script);
    rig.slot.driver_ok(rig.config())?;
    let probe = machine.probe(IrqId(0)).ok_or("it has one")?;
    for round in 1..=500_u32 {
        let before = probe.raised();
        assert!(!rig.driver.want_interrupt(), "round {round}: nothing has come yet");
        rig.pass(format!("a frame of round {round}").as_bytes())?;
        eventually("the interrupt comes", || probe.raised() > before);
        assert!(!rig.driver.post(1).kick, "round {round}: there is room, and no kick is asked for");
    }
    assert_eq!((machine.exits(), rig.stop()?.report.stats.frames_delivered), (0, 500));
    Ok(())
}

/// Each guest has a worker of its own: beside one that never posts, frames come as ever.
#[test]
fn a_guest_without_room_holds_up_no_other() -> Tested {
    let features = Features::VERSION_1 | Features::EVENT_IDX;
    let (slow, mut quick) = (Rig::starved(features)?, Rig::new(features)?);
    (0..1000).for_each(|_| slow.script.frame(*b"to a guest that has no room"));
    slow.slot.driver_ok(slow.config())?;
    quick.slot.driver_ok(quick.config())?;
    for round in 0..500_u32 {
        quick.pass(format!("a frame of round {round}").as_bytes())?;
        quick.driver.post(1);
    }
    assert_eq!(
        (slow.script.left(), slow.driver.has_used()),
        (1000, false),
        "and none of the other's is lost"
    );
    Ok(())
}
