//! Level-triggered lines: acknowledged, raised again at the worst moment, resampled (known failure 22).

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use netrx::spec::mmio::interrupt;
use netrx_kvm::LevelPin;

use crate::guest::{Call, Guest, IRQ};
use crate::rig::{Cpu, Machine, STUCK};

const GUEST: Guest = Guest { level: true, event_idx: false };
/// How long KVM may take to carry out a raise.
const LAG: Duration = Duration::from_millis(500);
/// How long nothing must happen.
const QUIET: Duration = Duration::from_millis(300);

/// A guest on a level-triggered line, which tells what it read of the status at each interrupt.
struct Scene {
    line: LevelPin,
    taken: Receiver<u32>,
    cpu: Cpu,
    _machine: Machine,
}

impl Scene {
    /// `device` acts between the guest's acknowledge and its end of interrupt.
    fn new(mut device: impl FnMut(&LevelPin) + Send + 'static) -> Result<Option<Self>> {
        let Some(machine) = Machine::new(GUEST)? else { return Ok(None) };
        let line = machine.hypervisor.level_pin(IRQ)?;
        let (takes, taken) = mpsc::channel();
        let (register, mut read) = (line.clone(), 0);
        let cpu = machine.start(move |call| match call {
            Call::Status(byte) => {
                read = register.take_status();
                *byte = read as u8;
                device(&register);
            }
            _ => _ = takes.send(read),
        })?;
        ensure!(taken.recv_timeout(STUCK)? == 0, "it is ready");
        Ok(Some(Self { line, taken, cpu, _machine: machine }))
    }

    fn is_quiet(&self) -> bool {
        self.taken.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout)
    }
}

#[test]
fn acknowledged_it_falls_and_stays_down() -> Result<()> {
    let Some(scene) = Scene::new(|_| {})? else { return Ok(()) };
    scene.line.signal(interrupt::USED | interrupt::CONFIG)?;
    let read = scene.taken.recv_timeout(STUCK)?;
    ensure!(read & interrupt::CONFIG != 0 && read & interrupt::USED != 0);
    ensure!(scene.is_quiet(), "one interrupt for one cause");
    ensure!(!scene.line.resample()?, "nothing was left to raise it for");
    ensure!(scene.is_quiet(), "a resample without a cause raises nothing");
    scene.cpu.stop()
}

#[test]
fn raised_between_acknowledge_and_end_of_interrupt_it_comes_by_resample() -> Result<()> {
    let mut raised = false;
    let device = move |line: &LevelPin| {
        if !raised {
            raised = line.signal(interrupt::USED).is_ok();
            thread::sleep(LAG);
        }
    };
    let Some(scene) = Scene::new(device)? else { return Ok(()) };
    scene.line.signal(interrupt::USED)?;
    ensure!(scene.taken.recv_timeout(STUCK)? == interrupt::USED);
    ensure!(scene.is_quiet(), "the line was up when it was raised again, and then fell");
    ensure!(scene.line.status() == interrupt::USED, "the cause is not lost");
    ensure!(scene.line.resample()?, "the resample finds it");
    ensure!(scene.taken.recv_timeout(STUCK)? == interrupt::USED);
    ensure!(scene.is_quiet());
    scene.cpu.stop()
}

#[test]
fn each_cause_is_seen_once() -> Result<()> {
    const AGAIN: u32 = 1000;
    let mut left = AGAIN;
    let device = move |line: &LevelPin| {
        if left > 0 && line.status() == 0 && line.signal(interrupt::USED).is_ok() {
            left -= 1;
        }
    };
    let Some(scene) = Scene::new(device)? else { return Ok(()) };
    let resamples = scene.line.watch()?;
    scene.line.signal(interrupt::USED)?;
    let (mut seen, mut idle) = (0, 0);
    while let Ok(read) = scene.taken.recv_timeout(if seen <= AGAIN { STUCK } else { QUIET }) {
        (seen, idle) = (seen + read, idle + u32::from(read == 0));
        ensure!(idle <= AGAIN, "a storm: {idle} interrupts without a cause for {seen} with one");
    }
    ensure!(seen == AGAIN + 1, "{seen} causes were seen");
    resamples.stop()?;
    scene.cpu.stop()
}

#[test]
fn a_burst_of_causes_ends_acknowledged() -> Result<()> {
    let Some(scene) = Scene::new(|_| {})? else { return Ok(()) };
    let resamples = scene.line.watch()?;
    for _ in 0..1000 {
        scene.line.signal(interrupt::USED)?;
    }
    let (begin, mut taken, mut quiet) = (Instant::now(), 0, false);
    while !quiet || taken == 0 || scene.line.status() != 0 {
        ensure!(begin.elapsed() < STUCK, "{taken} interrupts, and causes that nobody acknowledges");
        quiet = scene.taken.recv_timeout(QUIET).is_err();
        taken += u32::from(!quiet);
        ensure!(taken <= 2000, "a storm");
    }
    resamples.stop()?;
    scene.cpu.stop()
}

#[test]
fn the_register_is_virtio_mmios_too() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let line = machine.hypervisor.level_pin(IRQ)?;
    line.signal(0)?;
    ensure!(line.status() == 0);
    line.signal(interrupt::USED)?;
    line.signal(interrupt::CONFIG)?;
    line.acknowledge(interrupt::USED);
    ensure!(line.status() == interrupt::CONFIG, "what was not acknowledged stays");
    ensure!(line.take_status() == interrupt::CONFIG && line.status() == 0);
    ensure!(!line.resample()?, "no guest has ended an interrupt");
    Ok(())
}
