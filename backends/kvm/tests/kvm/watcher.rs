//! Watchers that end by themselves: told of at once, for nobody may ever stop them, and once.

use std::panic::resume_unwind;

use anyhow::{Result, ensure};
use netrx_kvm::{DoorbellAt, Value, Watcher};
use netrx_mock::events::told_anywhere;
use tracing::Level;

use crate::guest::{Guest, port};
use crate::rig::{Machine, STUCK};

const GUEST: Guest = Guest { level: false, event_idx: false };

#[test]
fn a_kick_that_panics_is_told_of_at_once_and_once() -> Result<()> {
    let events = told_anywhere()?;
    let stopped = |watcher: Watcher| {
        let end = watcher.stop().map_err(|error| error.to_string());
        ensure!(matches!(&end, Err(text) if text.contains("no worker")), "{end:?}");
        Ok(())
    };
    let dropped = |watcher: Watcher| {
        drop(watcher);
        Ok(())
    };
    for end in [stopped, dropped] {
        let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
        let bell = machine.hypervisor.doorbell(DoorbellAt::Port(port::READY), Value::Any)?;
        let watcher = bell.watch(|| resume_unwind(Box::new("no worker")))?;
        let cpu = machine.start(|_| {})?;
        while events.recv_timeout(STUCK)?.level != Level::ERROR {}
        end(watcher)?;
        let more: Vec<_> = events.try_iter().filter(|told| told.level == Level::ERROR).collect();
        ensure!(more.is_empty(), "{more:?}");
        cpu.stop()?;
    }
    Ok(())
}
