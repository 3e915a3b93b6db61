//! Parts that ask something of their slot when they are made and when they go, which takes the slot's lock.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use netrx::{Features, Hypervisor, HypervisorError, IrqError, IrqId, IrqLine, RxWorkerSlot};
use netrx_mock::{MockMemory, ScriptedSource};

use super::{Rig, Tested};

type Slot = RxWorkerSlot<MockMemory, Line>;

/// Asks a slot, and tells whether it was answered.
#[derive(Clone)]
struct Asker {
    slot: Weak<Slot>,
    tells: Sender<bool>,
}

impl Asker {
    /// From another thread, which may be left behind.
    fn ask(&self) {
        let Some(slot) = self.slot.upgrade() else { return };
        let (done, answered) = mpsc::channel();
        thread::spawn(move || {
            let _ = slot.stats();
            done.send(())
        });
        let _ = self.tells.send(answered.recv_timeout(Duration::from_secs(2)).is_ok());
    }
}

/// A line that asks when it goes.
struct Line(Asker);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.ask();
    }
}

impl IrqLine for Line {
    fn raise(&mut self) -> Result<(), IrqError> {
        Ok(())
    }
}

/// A hypervisor that asks when its memory is asked for.
struct Machine(Asker, MockMemory);

impl Hypervisor for Machine {
    type Memory = MockMemory;
    type Irq = Line;

    fn memory(&self) -> MockMemory {
        self.0.ask();
        self.1.clone()
    }

    fn irq_line(&self, _: IrqId) -> Result<Line, HypervisorError> {
        Ok(Line(self.0.clone()))
    }

    fn exit_vcpus(&self) -> Result<(), HypervisorError> {
        Ok(())
    }
}

/// So many were asked since, and each was answered.
fn answered(told: &Receiver<bool>, asked: usize, what: &str) {
    assert_eq!(told.try_iter().collect::<Vec<_>>(), vec![true; asked], "{what}");
}

#[test]
fn parts_may_ask_the_slot() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let slot = Arc::new(Slot::default());
    let (tells, told) = mpsc::channel();
    let asker = Asker { slot: Arc::downgrade(&slot), tells };
    slot.deposit_irq(Line(asker.clone()));
    slot.deposit_irq(Line(asker.clone()));
    answered(&told, 1, "a line that makes way");
    slot.deposit_hypervisor(&Machine(asker.clone(), rig.driver.memory().clone()), IrqId(0))?;
    answered(&told, 2, "a hypervisor, and the line before its own");
    slot.offer_source(0, ScriptedSource::new().0);
    for keeps_source in [true, false] {
        slot.driver_ok(rig.config())?;
        slot.deposit_irq(Line(asker.clone()));
        assert!(if keeps_source { slot.reset()?.is_some() } else { slot.stop()?.is_some() });
        answered(&told, 1, "a line that comes back and is not needed any more");
    }
    Ok(())
}
