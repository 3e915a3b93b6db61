//! What KVM or the backend refuses: each with its own error, and what was there before still works.

use std::error::Error;
use std::sync::{Arc, mpsc};

use anyhow::{Result, ensure};
use crossbeam_channel::unbounded;
use kvm_ioctls::VmFd;
use netrx::ring::RingConfig;
use netrx::worker::SlotError;
use netrx::{EngineConfig, Gpa, Hypervisor, HypervisorError, IrqId, RxConfig, RxWorkerSlot};
use netrx_channel::ChannelSource;
use netrx_kvm::{DoorbellAt, KvmError, KvmHypervisor, MemorySlots, MsiMessage, Value, Vcpus};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::signal::SIGRTMIN;

use crate::guest::{Guest, port};
use crate::rig::{self, Machine, STUCK};

const GUEST: Guest = Guest { level: false, event_idx: false };
const BELL: DoorbellAt = DoorbellAt::Port(port::KICK);

/// Memory of these starts and lengths.
fn memory(regions: &[(u64, usize)]) -> Result<GuestMemoryMmap> {
    let regions: Vec<_> = regions.iter().map(|&(start, len)| (GuestAddress(start), len)).collect();
    Ok(GuestMemoryMmap::from_ranges(&regions)?)
}

/// The region and slot that a registration was refused for.
fn refused(vm: &Arc<VmFd>, memory: &GuestMemoryMmap, first: u32) -> Option<(Gpa, u64, u32)> {
    match MemorySlots::register(vm, memory, first) {
        Err(KvmError::Slot { start, len, slot, .. }) => Some((start, len, slot)),
        _ => None,
    }
}

#[test]
fn an_overlapping_region_is_named_and_those_before_it_are_taken_back() -> Result<()> {
    let Some(vm) = rig::vm() else { return Ok(()) };
    let first = MemorySlots::register(&vm, &memory(&[(0x10_0000, 0x1_0000)])?, 0)?;
    let half = memory(&[(0, 0x1000), (0x10_8000, 0x1_0000)])?;
    ensure!(refused(&vm, &half, 1) == Some((Gpa(0x10_8000), 0x1_0000, 2)));
    let again = MemorySlots::register(&vm, &memory(&[(0, 0x2000)])?, 1)?;
    ensure!((first.len(), again.len()) == (1, 1) && !again.is_empty(), "slot 1 and its addresses are free");
    drop(first);
    ensure!(MemorySlots::register(&vm, &half, 7).is_err(), "address 0 is not");
    drop(again);
    ensure!(MemorySlots::register(&vm, &half, 1).is_ok(), "what was dropped is free");
    Ok(())
}

#[test]
fn a_slot_in_use_and_half_pages_are_refused() -> Result<()> {
    let Some(vm) = rig::vm() else { return Ok(()) };
    let _first = MemorySlots::register(&vm, &memory(&[(0x10_0000, 0x1_0000)])?, 3)?;
    ensure!(refused(&vm, &memory(&[(0, 0x1000)])?, 3) == Some((Gpa(0), 0x1000, 3)));
    ensure!(refused(&vm, &memory(&[(0x800, 0x1000)])?, 4) == Some((Gpa(0x800), 0x1000, 4)));
    ensure!(refused(&vm, &memory(&[(0, 0x1000)])?, u32::from(u16::MAX)).is_some(), "there are fewer slots");
    Ok(())
}

#[test]
fn numbers_at_their_end_are_refused() -> Result<()> {
    let Some(vm) = rig::vm() else { return Ok(()) };
    let (one, two) = (memory(&[(0, 0x1000)])?, memory(&[(0, 0x1000), (0x2000, 0x1000)])?);
    for (memory, first) in [(&one, u32::MAX), (&two, u32::MAX), (&two, u32::MAX - 1)] {
        ensure!(refused(&vm, memory, first) == Some((Gpa(0), 0x1000, first)));
    }
    Ok(())
}

#[test]
fn there_is_no_interrupt_behind_the_pins() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    for irq in [IrqId(24), IrqId(4096), IrqId(u32::MAX)] {
        let edge = machine.hypervisor.irq_line(irq);
        ensure!(matches!(edge, Err(HypervisorError::NoSuchIrq(missing)) if missing == irq));
        let level = machine.hypervisor.level_pin(irq);
        ensure!(matches!(level, Err(KvmError::NoSuchIrq(missing)) if missing == irq));
    }
    Ok(())
}

#[test]
fn without_interrupt_controllers_there_are_no_lines() -> Result<()> {
    let Some(vm) = rig::vm() else { return Ok(()) };
    let machine = KvmHypervisor::new(vm, memory(&[(0, 0x1000)])?, Vcpus::new(SIGRTMIN())?);
    let edge = machine.irq_line(IrqId(5)).map_err(|error| error.to_string());
    ensure!(matches!(&edge, Err(text) if text.contains("interrupt controllers")), "{edge:?}");
    let level = machine.level_pin(IrqId(5));
    ensure!(matches!(level, Err(KvmError::Bind { irq: IrqId(5), .. })), "{level:?}");
    let route = machine.msi_route(MsiMessage { address: 0xfee0_0000, data: 0x41 });
    ensure!(matches!(route, Err(KvmError::Route { .. })), "{route:?}");
    Ok(())
}

#[test]
fn a_doorbell_is_registered_once() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let bell = machine.hypervisor.doorbell(BELL, Value::U16(0))?;
    let second = machine.hypervisor.doorbell(BELL, Value::U16(0));
    ensure!(matches!(&second, Err(error @ KvmError::Doorbell { at: BELL, .. }) if error.source().is_some()));
    let _other = machine.hypervisor.doorbell(BELL, Value::U16(1))?;
    ensure!(!bell.take()?);
    drop(bell);
    let _again = machine.hypervisor.doorbell(BELL, Value::U16(0))?;
    let inside = machine.hypervisor.doorbell(DoorbellAt::Mmio(GUEST.ring().desc), Value::U32(0));
    ensure!(matches!(inside, Err(KvmError::InMemory(at)) if at == GUEST.ring().desc), "{inside:?}");
    let end = DoorbellAt::Mmio(Gpa(u64::MAX));
    let beyond = machine.hypervisor.doorbell(end, Value::U32(0)).map_err(|error| error.to_string());
    ensure!(matches!(beyond, Err(text) if text.contains("0xffffffffffffffff")));
    Ok(())
}

#[test]
fn a_doorbell_of_any_value_rings_its_watcher_and_no_other() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let any = machine.hypervisor.doorbell(DoorbellAt::Port(port::READY), Value::Any)?;
    let unheard = machine.hypervisor.doorbell(DoorbellAt::Mmio(Gpa(0xd000_0000)), Value::U32(0))?;
    let (says, said) = mpsc::channel();
    let watcher = any.watch(move || _ = says.send(()))?;
    let cpu = machine.start(|_| {})?;
    said.recv_timeout(STUCK)?;
    ensure!(!any.take()? && !unheard.take()?, "it was taken, and the other never rang");
    watcher.stop()?;
    ensure!(said.try_recv().is_err(), "it rang once");
    cpu.stop()
}

#[test]
fn a_queue_that_is_not_in_memory_does_not_start_and_the_parts_stay() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let slot = RxWorkerSlot::new("refused");
    ensure!(slot.deposit_hypervisor(&machine.hypervisor, IrqId(99)).is_err());
    let (_frames, receiver) = unbounded::<Vec<u8>>();
    slot.offer_source(0, ChannelSource::new(receiver));
    let (features, engine) = (GUEST.features(), EngineConfig::default());
    let config = |ring| RxConfig { ring, features, engine, restored: false };
    ensure!(
        matches!(slot.driver_ok(config(GUEST.ring())), Err(SlotError::Missing(parts)) if parts.len() == 2)
    );
    slot.deposit_hypervisor(&machine.hypervisor, IrqId(5))?;
    let beyond = RingConfig { used: Gpa(0x10_0000), ..GUEST.ring() };
    ensure!(matches!(slot.driver_ok(config(beyond)), Err(SlotError::Config(_))));
    slot.driver_ok(config(GUEST.ring()))?;
    ensure!(slot.stop()?.is_some());
    Ok(())
}
