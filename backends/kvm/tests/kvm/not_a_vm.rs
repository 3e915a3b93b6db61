//! A VM whose descriptor is not a VM's: every call says so, with a type. And one whose descriptor becomes another's, so that
//! nothing can be taken back.

#![allow(unsafe_code, reason = "makes a VM of a descriptor that is none")]

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use kvm_ioctls::{Kvm, VmFd};
use netrx::{Hypervisor, HypervisorError, IrqId};
use netrx_kvm::{DoorbellAt, KvmError, KvmHypervisor, MemorySlots, MsiMessage, Value, Vcpus};
use netrx_mock::events::{Told, told_by};
use rustix::io::dup;
use tracing::Level;
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::signal::SIGRTMIN;

use crate::rig;

const BELL: DoorbellAt = DoorbellAt::Port(1);

fn memory() -> Result<GuestMemoryMmap> {
    Ok(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1000)])?)
}

fn machine(vm: &Arc<VmFd>) -> Result<KvmHypervisor<GuestMemoryMmap>> {
    Ok(KvmHypervisor::new(Arc::clone(vm), memory()?, Vcpus::new(SIGRTMIN())?))
}

fn vm_of(owned: impl IntoRawFd) -> Result<Arc<VmFd>> {
    // SAFETY: the descriptor has no other owner.
    Ok(Arc::new(unsafe { Kvm::new()?.create_vmfd_from_rawfd(owned.into_raw_fd()) }?))
}

#[test]
fn every_call_is_refused_with_a_type() -> Result<()> {
    if rig::vm().is_none() {
        return Ok(());
    }
    let vm = vm_of(File::open("/dev/null")?)?;
    let slots = MemorySlots::register(&vm, &memory()?, 0);
    ensure!(matches!(slots, Err(KvmError::Slot { slot: 0, .. })), "{slots:?}");
    let machine = machine(&vm)?;
    ensure!(matches!(machine.irq_line(IrqId(5)), Err(HypervisorError::Backend(_))));
    ensure!(matches!(machine.level_pin(IrqId(5)), Err(KvmError::Bind { .. })));
    let message = MsiMessage { address: 0xfee0_0000, data: 0x41 };
    ensure!(matches!(machine.msi_route(message), Err(KvmError::NoFreeIrq(_))), "it has no interrupts at all");
    let bell = machine.doorbell(BELL, Value::Any);
    ensure!(matches!(bell, Err(KvmError::Doorbell { .. })));
    ensure!(machine.exit_vcpus().is_ok(), "no vCPU has joined");
    Ok(())
}

/// Drops a doorbell of `vm`, whose descriptor becomes that of `other` before; what is told then.
fn drop_bell(vm: &Arc<VmFd>, other: &impl AsRawFd) -> Result<Told> {
    let bell = machine(vm)?.doorbell(BELL, Value::Any)?;
    // SAFETY: both descriptors are open, and the second one stays its owner's.
    ensure!(unsafe { libc::dup2(other.as_raw_fd(), vm.as_raw_fd()) } == vm.as_raw_fd());
    let ((), told) = told_by(|| drop(bell));
    told.into_iter().next().context("it is told of")
}

#[test]
fn a_doorbell_that_stays_registered_is_told_of() -> Result<()> {
    let Some(vm) = rig::vm() else { return Ok(()) };
    // SAFETY: the VM is open.
    let same = vm_of(dup(unsafe { BorrowedFd::borrow_raw(vm.as_raw_fd()) })?)?;
    let told = drop_bell(&vm, &File::open("/dev/null")?)?;
    let again = machine(&same)?.doorbell(BELL, Value::Any);
    ensure!(matches!(again, Err(KvmError::Doorbell { at: BELL, .. })), "its eventfd is closed: {again:?}");
    ensure!(told.level == Level::ERROR && told.message().contains("stays registered"), "{told:?}");
    Ok(())
}

#[test]
fn a_doorbell_that_was_not_registered_any_more_is_no_trouble() -> Result<()> {
    let (Some(vm), Some(other)) = (rig::vm(), rig::vm()) else { return Ok(()) };
    let told = drop_bell(&vm, &*other)?;
    ensure!(told.level == Level::DEBUG && told.message().contains("not registered any more"), "{told:?}");
    Ok(())
}
