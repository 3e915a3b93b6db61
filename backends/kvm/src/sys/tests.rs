//! A VM whose descriptor is not a VM's: every call says so, with a type.

#![allow(unsafe_code, reason = "makes a VM of a descriptor that is none")]
#![allow(clippy::panic, reason = "what goes wrong fails the test")]

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use kvm_ioctls::{Kvm, VmFd};
use netrx::{Hypervisor, HypervisorError, IrqId};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::signal::SIGRTMIN;

use crate::{DoorbellAt, KvmError, KvmHypervisor, MemorySlots, MsiMessage, Value, Vcpus};

/// `None`, and why, where there is no KVM.
fn no_vm() -> Option<Arc<VmFd>> {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(reason) => {
            println!("SKIPPED: cannot open /dev/kvm: {reason}");
            return None;
        }
    };
    let other = File::open("/dev/null").map(IntoRawFd::into_raw_fd).unwrap_or(-1);
    // SAFETY: the descriptor has no other owner.
    let vm = unsafe { kvm.create_vmfd_from_rawfd(other) };
    assert!(vm.is_ok(), "{:?}", vm.err());
    vm.ok().map(Arc::new)
}

#[test]
fn every_call_is_refused_with_a_type() {
    let Some(vm) = no_vm() else { return };
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x1000)]).unwrap_or_default();
    let slots = MemorySlots::register(&vm, &memory, 0);
    assert!(matches!(slots, Err(KvmError::Slot { slot: 0, .. })), "{slots:?}");
    let Ok(vcpus) = Vcpus::new(SIGRTMIN()) else { panic!("the signal is free") };
    let machine = KvmHypervisor::new(vm, memory, vcpus);
    assert!(matches!(machine.irq_line(IrqId(5)), Err(HypervisorError::Backend(_))));
    assert!(matches!(machine.level_line(IrqId(5)), Err(KvmError::Bind { .. })));
    let message = MsiMessage { address: 0xfee0_0000, data: 0x41 };
    assert!(matches!(machine.msi_route(message), Err(KvmError::Route { .. } | KvmError::NoFreeIrq(_))));
    let bell = machine.doorbell(DoorbellAt::Port(1), Value::Any);
    assert!(matches!(bell, Err(KvmError::Doorbell { .. })));
    assert!(machine.exit_vcpus().is_ok(), "no vCPU has joined");
}
