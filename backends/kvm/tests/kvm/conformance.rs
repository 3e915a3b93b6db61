//! The suites of memory, lines and hypervisor. Interrupts are those that a guest takes.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use netrx::spec::mmio::interrupt;
use netrx::{Gpa, Hypervisor, IrqError, IrqId, IrqLine};
use netrx_kvm::{LevelPin, Watcher};
use netrx_mock::conformance;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};

use crate::guest::{Call, Guest, IRQ};
use crate::rig::{self, Cpu, Machine, STUCK};

const EDGE: Guest = Guest { level: false, event_idx: false };
const LEVEL: Guest = Guest { level: true, event_idx: false };

/// How long nothing must happen.
const QUIET: Duration = Duration::from_millis(300);

/// What the guest reads of its interrupt status.
type Status = Box<dyn Fn() -> u32 + Send>;

/// A guest that takes interrupts.
struct Taking {
    taken: mpsc::Receiver<()>,
    seen: Option<u64>,
    cpu: Option<Cpu>,
    _machine: Machine,
}

impl Taking {
    fn start(machine: Machine, status: Status) -> Result<Self> {
        let (takes, taken) = mpsc::channel();
        let cpu = machine.start(move |call| match call {
            Call::Status(byte) => *byte = status() as u8,
            _ => _ = takes.send(()),
        })?;
        // It is ready.
        taken.recv_timeout(STUCK)?;
        Ok(Self { taken, seen: None, cpu: Some(cpu), _machine: machine })
    }

    /// How many interrupts it took; from the second call on, one that was raised is waited for.
    fn seen(&mut self) -> u64 {
        let more = match self.seen {
            None => 0,
            Some(_) => usize::from(self.taken.recv_timeout(STUCK).is_ok()) + self.taken.try_iter().count(),
        };
        *self.seen.insert(self.seen.unwrap_or_default() + more as u64)
    }

    /// Whether it is interrupted again at each end of an interrupt, as it is while its line is high. One that was lowered
    /// interrupts it a few times more at most.
    fn is_kept_busy(&self, patience: Duration) -> bool {
        self.taken.try_iter().for_each(drop);
        (0..10).all(|_| self.taken.recv_timeout(patience).is_ok())
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let stopped = self.cpu.take().map(Cpu::stop);
        assert!(matches!(stopped, Some(Ok(()))), "{stopped:?}");
    }
}

/// A level-triggered line whose resamples are served.
struct Watched {
    line: LevelPin,
    _resamples: Watcher,
}

impl IrqLine for Watched {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.line.raise()
    }
}

/// Runs the suite of lines with the line that `make` gives.
fn lines<I: IrqLine>(guest: Guest, make: impl Fn(&Machine) -> Result<(I, Status)>) -> Result<()> {
    if rig::vm().is_none() {
        return Ok(());
    }
    let start = || -> Result<_> {
        let machine = Machine::new(guest)?.context("there was a KVM just now")?;
        let (line, status) = make(&machine)?;
        Ok((line, Taking::start(machine, status)?))
    };
    conformance::irq(|| {
        let (line, mut guest) = start().expect("a guest that runs");
        (line, move || guest.seen())
    });
    Ok(())
}

#[test]
fn edge_lines() -> Result<()> {
    lines(EDGE, |machine| Ok((machine.hypervisor.irq_line(IRQ)?, Box::new(|| 0))))
}

#[test]
fn level_lines() -> Result<()> {
    lines(LEVEL, |machine| {
        let line = machine.hypervisor.level_pin(IRQ)?;
        let (status, resamples) = (line.clone(), line.watch()?);
        Ok((Watched { line, _resamples: resamples }, Box::new(move || status.take_status())))
    })
}

/// The line alone, whose register is kept by somebody else, and a guest that acknowledges nothing.
#[test]
fn level_pins() -> Result<()> {
    if rig::vm().is_none() {
        return Ok(());
    }
    let start = || -> Result<_> {
        let machine = Machine::new(LEVEL)?.context("there was a KVM just now")?;
        let pin = machine.hypervisor.level_pin(IRQ)?;
        let resamples = pin.watch()?;
        Ok((pin, resamples, Taking::start(machine, Box::new(|| interrupt::USED))?))
    };
    conformance::level(|| {
        let (pin, resamples, guest) = start().expect("a guest that runs");
        let wanted = pin.clone();
        let is_high = move || {
            let _served = &resamples;
            guest.is_kept_busy(if wanted.status() == 0 { QUIET } else { STUCK })
        };
        (pin, is_high)
    });
    Ok(())
}

#[test]
fn memory() -> Result<()> {
    let Some(machine) = Machine::new(EDGE)? else { return Ok(()) };
    conformance::memory(|| {
        let regions = machine.memory.iter().map(|region| (Gpa(region.start_addr().0), region.len() as usize));
        (machine.memory.clone(), regions.collect())
    });
    Ok(())
}

#[test]
fn hypervisor() -> Result<()> {
    let Some(machine) = Machine::new(EDGE)? else { return Ok(()) };
    conformance::hypervisor(|| (machine.hypervisor.clone(), Gpa(0x8000), IrqId(23), IrqId(24)));
    Ok(())
}
