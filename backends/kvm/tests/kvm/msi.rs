//! MSI routes. Their interrupts are those that a local APIC has pending.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kvm_bindings::kvm_lapic_state;
use kvm_ioctls::VcpuFd;
use netrx::{Hypervisor, HypervisorError, IrqLine};
use netrx_kvm::{KvmError, MsiMessage};
use netrx_mock::conformance;

use crate::guest::{Guest, IRQ};
use crate::rig::{self, Machine, STUCK};

const GUEST: Guest = Guest { level: false, event_idx: false };
/// Registers of the local APIC: spurious interrupts, and requests, 32 to each 16 bytes.
const SPURIOUS: usize = 0xf0;
const REQUESTS: usize = 0x200;

/// To the first processor, fixed, edge-triggered.
fn message(vector: u8) -> MsiMessage {
    MsiMessage { address: 0xfee0_0000, data: vector.into() }
}

/// A vCPU that does not run, whose APIC is switched on.
struct Apic {
    vcpu: VcpuFd,
    seen: Option<u64>,
}

impl Apic {
    fn new(machine: &Machine) -> Result<Self> {
        let vcpu = machine.vm.create_vcpu(0)?;
        let mut state = vcpu.get_lapic()?;
        state.regs[SPURIOUS + 1] |= 1;
        vcpu.set_lapic(&state)?;
        Ok(Self { vcpu, seen: None })
    }

    /// Takes the request for a vector, if there is one.
    fn take(&self, vector: u8) -> bool {
        let (byte, bit) = request(vector);
        let mut state = self.vcpu.get_lapic().unwrap_or(kvm_lapic_state { regs: [0; 1024] });
        let requested = state.regs[byte] as u8 & bit != 0;
        state.regs[byte] = (state.regs[byte] as u8 & !bit) as _;
        requested && self.vcpu.set_lapic(&state).is_ok()
    }

    /// How many requests there were; from the second call on, one that was raised is waited for.
    fn seen(&mut self, vector: u8) -> u64 {
        let (before, start) = (self.seen, Instant::now());
        let mut more = 0;
        while before.is_some() && more == 0 && start.elapsed() < STUCK {
            more = u64::from(self.take(vector));
        }
        *self.seen.insert(before.unwrap_or_default() + more)
    }
}

/// The byte and the bit of a vector's request.
fn request(vector: u8) -> (usize, u8) {
    let vector = usize::from(vector);
    (REQUESTS + vector / 32 * 16 + vector % 32 / 8, 1 << (vector % 8))
}

#[test]
fn a_line_on_a_route() -> Result<()> {
    if rig::vm().is_none() {
        return Ok(());
    }
    let start = || -> Result<_> {
        let machine = Machine::new(GUEST)?.context("there was a KVM just now")?;
        let apic = Apic::new(&machine)?;
        let route = machine.hypervisor.msi_route(message(0x41))?;
        // The line keeps the route.
        Ok((machine.hypervisor.irq_line(route.irq())?, apic))
    };
    conformance::irq(|| {
        let (line, mut apic) = start().expect("a machine with a route");
        (line, move || apic.seen(0x41))
    });
    Ok(())
}

#[test]
fn a_route_can_be_changed_under_its_line() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let mut apic = Apic::new(&machine)?;
    let one = machine.hypervisor.msi_route(message(0x41))?;
    let other = machine.hypervisor.msi_route(message(0x42))?;
    ensure!(one.irq() != other.irq());
    let mut line = machine.hypervisor.irq_line(one.irq())?;
    one.set(message(0x43))?;
    ensure!(apic.seen(0x43) == 0);
    line.raise()?;
    ensure!(apic.seen(0x43) == 1, "the new message is sent");
    ensure!(!apic.take(0x41) && !apic.take(0x42), "and no other");
    Ok(())
}

#[test]
fn routes_go_and_pins_stay() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let route = machine.hypervisor.msi_route(message(0x41))?;
    let irq = route.irq();
    ensure!(matches!(machine.hypervisor.level_pin(irq), Err(KvmError::MsiLevel(refused)) if refused == irq));
    drop(route);
    let gone = machine.hypervisor.irq_line(irq);
    ensure!(matches!(gone, Err(HypervisorError::NoSuchIrq(missing)) if missing == irq));
    ensure!(machine.hypervisor.msi_route(message(0x41))?.irq() == irq, "its number is free again");
    interrupts(&machine)
}

/// The guest's own pin still interrupts it, after the table was set.
fn interrupts(machine: &Machine) -> Result<()> {
    let mut line = machine.hypervisor.irq_line(IRQ)?;
    let (says, said) = mpsc::channel();
    let cpu = machine.start(move |_| _ = says.send(()))?;
    said.recv_timeout(STUCK)?;
    line.raise()?;
    said.recv_timeout(STUCK)?;
    cpu.stop()
}
