//! A VM whose descriptor is not a VM's: every call says so, with a type.

#![allow(unsafe_code, reason = "makes a VM of a descriptor that is none")]

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use anyhow::{Result, ensure};
use kvm_ioctls::Kvm;
use netrx::{Hypervisor, HypervisorError, IrqId};
use netrx_kvm::{DoorbellAt, KvmError, KvmHypervisor, MemorySlots, MsiMessage, Value, Vcpus};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::signal::SIGRTMIN;

use crate::rig;

#[test]
fn every_call_is_refused_with_a_type() -> Result<()> {
    if rig::vm().is_none() {
        return Ok(());
    }
    let other = File::open("/dev/null")?.into_raw_fd();
    // SAFETY: the descriptor has no other owner.
    let vm = Arc::new(unsafe { Kvm::new()?.create_vmfd_from_rawfd(other) }?);
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x1000)])?;
    let slots = MemorySlots::register(&vm, &memory, 0);
    ensure!(matches!(slots, Err(KvmError::Slot { slot: 0, .. })), "{slots:?}");
    let machine = KvmHypervisor::new(vm, memory, Vcpus::new(SIGRTMIN())?);
    ensure!(matches!(machine.irq_line(IrqId(5)), Err(HypervisorError::Backend(_))));
    ensure!(matches!(machine.level_pin(IrqId(5)), Err(KvmError::Bind { .. })));
    let message = MsiMessage { address: 0xfee0_0000, data: 0x41 };
    ensure!(matches!(machine.msi_route(message), Err(KvmError::NoFreeIrq(_))), "it has no interrupts at all");
    let bell = machine.doorbell(DoorbellAt::Port(1), Value::Any);
    ensure!(matches!(bell, Err(KvmError::Doorbell { .. })));
    ensure!(machine.exit_vcpus().is_ok(), "no vCPU has joined");
    Ok(())
}
