//! The network card.

use anyhow::Result;
use netrx::mmio::Discard;
use netrx::spec::mmio::Register;
use netrx::{Hypervisor, IrqId, MmioDevice, NetConfig};
use netrx_hvf::{HvfHypervisor, HvfMemory, LevelPin, Nudging, Vcpus};

/// Where the guest finds it, behind all that is the GIC's, and its interrupt.
pub(crate) const AT: u64 = 0x0c00_0000;
pub(crate) const LEN: u64 = 0x200;
pub(crate) const IRQ: IrqId = IrqId(48);

/// A line that wakes a vCPU whose guest waits.
pub(crate) type Line = Nudging<LevelPin>;
pub(crate) type Card = MmioDevice<HvfMemory, Line>;

/// A card in that machine; what the guest sends goes nowhere.
pub(crate) fn new(machine: &HvfHypervisor, vcpus: &Vcpus) -> Result<Card> {
    let line = Nudging::new(machine.level_pin(IRQ)?, vcpus.clone());
    let config = NetConfig::new([2, 0, 0, 0, 0, 1]);
    Ok(MmioDevice::new("vmm-rx", &config, machine.memory(), line, Discard::default())?)
}

/// Whether its interrupt is pending.
pub(crate) fn interrupts(card: &Card) -> bool {
    let mut status = [0; 4];
    card.read(Register::InterruptStatus as u64, &mut status);
    status != [0; 4]
}
