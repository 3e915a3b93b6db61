//! Frames through channel, worker, interrupt line and a guest that runs: every one arrives, in order, whole.

use std::sync::{Arc, mpsc};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::{Sender, bounded};
use netrx::mmio::Discard;
use netrx::spec::mmio::Register;
use netrx::{EngineConfig, Hypervisor, IrqLine, MmioDevice, NetConfig, RxConfig, RxWorkerSlot};
use netrx_channel::ChannelSource;
use netrx_kvm::{DoorbellAt, LevelPin, Value};
use netrx_mock::{registers, traffic};
use vm_memory::GuestMemoryMmap;

use crate::guest::{self, Call, Guest, IRQ, port};
use crate::rig::{Machine, STUCK};

const FRAMES: u64 = 10_000;
/// How many frames are sent at once, in turn: alone, a few, and more than the ring and the channel hold.
const BURSTS: [usize; 13] = [1, 1, 2, 1, 7, 1, 63, 1, 64, 1, 65, 3, 400];

type Slot = RxWorkerSlot<GuestMemoryMmap, Box<dyn IrqLine>>;

/// How the driver's kicks get to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kicks {
    Doorbell,
    Exit,
}

/// What the guest says of the frames.
enum Said {
    Ready,
    Sum(u32),
    Count(u32),
}

#[test]
fn edge_with_event_idx_and_doorbell() -> Result<()> {
    arrive(Guest { level: false, event_idx: true }, Kicks::Doorbell)
}

#[test]
fn edge_by_flags_and_doorbell() -> Result<()> {
    arrive(Guest { level: false, event_idx: false }, Kicks::Doorbell)
}

#[test]
fn level_with_event_idx_and_doorbell() -> Result<()> {
    arrive(Guest { level: true, event_idx: true }, Kicks::Doorbell)
}

#[test]
fn level_by_flags_and_doorbell() -> Result<()> {
    arrive(Guest { level: true, event_idx: false }, Kicks::Doorbell)
}

#[test]
fn edge_with_event_idx_and_exits() -> Result<()> {
    arrive(Guest { level: false, event_idx: true }, Kicks::Exit)
}

#[test]
fn level_by_flags_and_exits() -> Result<()> {
    arrive(Guest { level: true, event_idx: false }, Kicks::Exit)
}

#[test]
fn by_registers_with_event_idx() -> Result<()> {
    arrive_by_registers(Guest { level: true, event_idx: true })
}

#[test]
fn by_registers_and_flags() -> Result<()> {
    arrive_by_registers(Guest { level: true, event_idx: false })
}

fn arrive(guest: Guest, kicks: Kicks) -> Result<()> {
    let Some(machine) = Machine::new(guest)? else { return Ok(()) };
    let slot = Arc::new(Slot::new("kvm-rx"));
    slot.deposit_memory(machine.memory.clone());
    let level = guest.level.then(|| machine.hypervisor.level_pin(IRQ)).transpose()?;
    slot.deposit_irq(match &level {
        Some(level) => Box::new(level.clone()),
        None => Box::new(machine.hypervisor.irq_line(IRQ)?),
    });
    let _resamples = level.as_ref().map(LevelPin::watch).transpose()?;
    let bell = || machine.hypervisor.doorbell(DoorbellAt::Port(port::KICK), Value::U16(0));
    let bell = (kicks == Kicks::Doorbell).then(bell).transpose()?;
    let kicked = Arc::clone(&slot);
    let _kicks = bell.map(|bell| bell.watch(move || kicked.kick())).transpose()?;

    let (says, said) = mpsc::channel();
    let (kicked, line) = (Arc::clone(&slot), level);
    let cpu = machine.start(move |call| {
        let word = match call {
            Call::Ready => Said::Ready,
            Call::Sum(sum) => Said::Sum(sum),
            Call::Count(count) => Said::Count(count),
            Call::Kick => return kicked.kick(),
            Call::Status(status) => return *status = line.as_ref().map_or(0, LevelPin::take_status) as u8,
        };
        let _ = says.send(word);
    })?;
    ensure!(matches!(said.recv_timeout(STUCK)?, Said::Ready), "the driver is ready first");
    deliver(&slot, &said, || {
        let (ring, features) = (guest.ring(), guest.features());
        Ok(slot.driver_ok(RxConfig { ring, features, engine: EngineConfig::default(), restored: false })?)
    })?;
    cpu.stop()
}

/// Through the registers of a virtio-mmio card, which keeps the interrupt status and lowers its pin.
fn arrive_by_registers(guest: Guest) -> Result<()> {
    let Some(machine) = Machine::new(guest)? else { return Ok(()) };
    let pin = machine.hypervisor.level_pin(IRQ)?;
    let resamples = pin.watch()?;
    let config = NetConfig::new([2, 0, 0, 0, 0, 1]);
    let device =
        Arc::new(MmioDevice::new("kvm-mmio-rx", &config, machine.memory.clone(), pin, Discard::default())?);
    let (says, said) = mpsc::channel();
    let registers = Arc::clone(&device);
    let cpu = machine.start(move |call| {
        let word = match call {
            Call::Ready => Said::Ready,
            Call::Sum(sum) => Said::Sum(sum),
            Call::Count(count) => Said::Count(count),
            Call::Kick => return write(&registers, Register::QueueNotify, 0),
            Call::Status(status) => {
                let mut word = [0; 4];
                registers.read(Register::InterruptStatus as u64, &mut word);
                *status = word[0];
                return write(&registers, Register::InterruptAck, u32::from_le_bytes(word));
            }
        };
        let _ = says.send(word);
    })?;
    ensure!(matches!(said.recv_timeout(STUCK)?, Said::Ready), "the driver is ready first");
    deliver(device.slot(), &said, || {
        let writes = registers::bring_up(guest.features(), &[(0, guest.ring())]);
        writes.into_iter().for_each(|(register, word)| write(&device, register, word));
        Ok(())
    })?;
    resamples.stop()?;
    cpu.stop()
}

fn write(device: &MmioDevice<GuestMemoryMmap, LevelPin>, register: Register, word: u32) {
    let written = device.write(register as u64, &word.to_le_bytes());
    assert!(written.is_ok(), "{register:?} <- {word:#x}: {written:?}");
}

/// Sends the frames in bursts, each to a guest that has counted all before it, and checks what it says of each.
fn deliver<I: IrqLine>(
    slot: &RxWorkerSlot<GuestMemoryMmap, I>,
    said: &mpsc::Receiver<Said>,
    driver_ok: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (frames, receiver) = bounded(256);
    slot.offer_source(0, ChannelSource::new(receiver));
    driver_ok()?;
    let (mut numbers, mut bursts, mut interrupts, mut frame) = (0..FRAMES, 0, 0, Vec::new());
    while numbers.start < FRAMES {
        let burst = numbers.by_ref().take(BURSTS[bursts % BURSTS.len()]);
        let sums: Vec<_> = burst.map(|number| send(number, &frames, &mut frame)).collect::<Result<_>>()?;
        interrupts += check(said, numbers.start, &sums)?;
        bursts += 1;
    }
    drop(frames);
    let stats = slot.stop()?.context("a worker ran")?.report.stats;
    let raised = stats.irqs_raised;
    println!("{FRAMES} frames in {bursts} bursts, {raised} interrupts, {interrupts} seen");
    ensure!(stats.frames_delivered == FRAMES, "{stats:?}");
    ensure!(stats.starved > 0, "a full guest was waited for");
    ensure!(interrupts >= bursts as u64, "each burst finds the guest asleep");
    ensure!(interrupts <= raised + raised / 2, "no storm");
    Ok(())
}

/// Sends a frame; returns its sum.
fn send(number: u64, frames: &Sender<Vec<u8>>, frame: &mut Vec<u8>) -> Result<u32> {
    traffic::make(number, length(number), frame);
    frames.send_timeout(frame.clone(), STUCK)?;
    Ok(guest::sum(frame))
}

/// Waits until the guest has counted `total` frames, of which the last have these sums; returns its interrupts.
fn check(said: &mpsc::Receiver<Said>, total: u64, sums: &[u32]) -> Result<u64> {
    let (first, mut seen, mut interrupts) = (total - sums.len() as u64, 0, 0);
    loop {
        match said.recv_timeout(STUCK)? {
            Said::Ready => bail!("the guest started again"),
            Said::Sum(sum) => {
                let number = first + seen as u64;
                ensure!(
                    sums.get(seen) == Some(&sum),
                    "frame {number} is not as it was sent, or not in its place"
                );
                seen += 1;
            }
            Said::Count(count) => {
                interrupts += 1;
                ensure!(
                    u64::from(count) == first + seen as u64,
                    "{count} counted, {seen} told of since {first}"
                );
                if seen == sums.len() {
                    return Ok(interrupts);
                }
            }
        }
    }
}

/// From the shortest to a hundred bytes, in no order; some are as long as frames are.
fn length(number: u64) -> usize {
    if number.is_multiple_of(97) { 1514 } else { 22 + (number * 7919 % 79) as usize }
}
