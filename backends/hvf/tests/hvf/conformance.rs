//! The suites of memory, lines and hypervisor.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use anyhow::Result;
use netrx::spec::mmio::Register;
use netrx::{Gpa, Hypervisor, IrqId};
use netrx_hvf::{HvfHypervisor, Nudging, Vcpus};
use netrx_mock::{MockMemory, conformance};

use crate::framework::Framework;
use crate::rig::{self, IRQ};

fn machine() -> Result<HvfHypervisor> {
    Ok(HvfHypervisor::new(rig::memory(&MockMemory::heap(&[1 << 16]))?, Vcpus::new()))
}

#[test]
fn memory() {
    let mock = MockMemory::heap(&[1 << 16, 1 << 17, 1 << 16]);
    conformance::memory(|| {
        let memory = rig::memory(&mock).expect("the mock's regions are apart");
        let regions = memory.regions().collect();
        (memory, regions)
    });
}

#[test]
fn edge_lines() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    conformance::irq(|| {
        let line = machine.irq_line(IRQ).expect("the GIC has it");
        (line, || framework.spi(IRQ.0).edges)
    });
    Ok(())
}

#[test]
fn edge_lines_that_nudge() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    conformance::irq(|| {
        let line = machine.irq_line(IRQ).expect("the GIC has it");
        (Nudging::new(line, Vcpus::new()), || framework.spi(IRQ.0).edges)
    });
    Ok(())
}

#[test]
fn level_pins() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    conformance::level(|| {
        let pin = machine.level_pin(IRQ).expect("the GIC has it");
        (pin, || framework.spi(IRQ.0).high)
    });
    Ok(())
}

/// The guest takes an interrupt that is high, and acknowledges it.
#[test]
fn level_lines_behind_a_cards_registers() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    conformance::irq(|| {
        let line = machine.level_pin(IRQ).expect("the GIC has it");
        let card = rig::card(machine.memory(), line).expect("the card makes sense");
        let (raises, mut seen, framework) = (card.irq(), 0, &framework);
        let take = move || {
            if framework.spi(IRQ.0).high {
                let acknowledged = card.write(Register::InterruptAck as u64, &1_u32.to_le_bytes());
                assert!(acknowledged.is_ok() && !framework.spi(IRQ.0).high, "it falls");
                seen += 1;
            }
            seen
        };
        (raises, take)
    });
    Ok(())
}

#[test]
fn hypervisor() -> Result<()> {
    let (_framework, machine) = (Framework::new(), machine()?);
    let (at, _) = machine.memory().regions().next().expect("it has one");
    conformance::hypervisor(|| (machine.clone(), at, IRQ, IrqId(31)));
    conformance::hypervisor(|| (machine.clone(), Gpa(at.0 + 4096), IrqId(1019), IrqId(1020)));
    Ok(())
}
