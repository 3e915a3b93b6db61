//! A vCPU, and what its exits mean.

#![allow(unsafe_code, reason = "calls the framework")]

use std::marker::PhantomData;
use std::ptr;

use anyhow::{Context, Result, bail, ensure};
use applevisor_sys::hv_reg_t::{self, *};
use applevisor_sys::{
    hv_exit_reason_t, hv_sys_reg_t, hv_vcpu_create, hv_vcpu_destroy, hv_vcpu_exit_t, hv_vcpu_get_reg,
    hv_vcpu_run, hv_vcpu_set_reg, hv_vcpu_set_sys_reg,
};
use netrx_hvf::HvCode;

/// The registers that an instruction can name; the last number names none, and reads as 0.
#[rustfmt::skip]
const X: [hv_reg_t; 31] = [
    X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15,
    X16, X17, X18, X19, X20, X21, X22, X23, X24, X25, X26, X27, X28, X29, X30,
];

/// EL1 with its own stack pointer, and no interrupts yet.
const EL1: u64 = 0x3c5;

/// The affinity of the first vCPU, by which the GIC routes interrupts to it; a second one needs another (MPIDR_EL1).
const AFFINITY: u64 = 1 << 31;

/// A vCPU of the thread that made it.
pub(crate) struct Vcpu {
    pub(crate) id: u64,
    exit: *const hv_vcpu_exit_t,
    own_thread: PhantomData<*const ()>,
}

/// Why a vCPU is out of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was made to exit.
    Canceled,
    /// The guest accesses an address that is not memory.
    Mmio(Access),
    /// The guest waits for an interrupt.
    Wait,
    /// The guest calls the hypervisor; what for is in X0.
    Call,
}

/// An access to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) at: u64,
    pub(crate) bytes: usize,
    pub(crate) write: bool,
    register: usize,
}

impl Exit {
    /// By the fields of ESR_EL2 (Arm's architecture manual).
    fn of(exit: &hv_vcpu_exit_t) -> Result<Self> {
        let syndrome = exit.exception.syndrome;
        let bits = |from: u32, len: u32| (syndrome >> from) & ((1 << len) - 1);
        match (exit.reason, bits(26, 6)) {
            (hv_exit_reason_t::CANCELED, _) => Ok(Self::Canceled),
            (hv_exit_reason_t::EXCEPTION, 0x01) => Ok(Self::Wait),
            (hv_exit_reason_t::EXCEPTION, 0x16) => Ok(Self::Call),
            (hv_exit_reason_t::EXCEPTION, 0x24) => {
                let at = exit.exception.physical_address;
                ensure!(bits(24, 1) == 1, "the guest accesses {at:#x} by an instruction that is not told of");
                let (bytes, write, register) = (1 << bits(22, 2), bits(6, 1) == 1, bits(16, 5) as usize);
                Ok(Self::Mmio(Access { at, bytes, write, register }))
            }
            (reason, class) => bail!("an exit that nobody expects: {reason:?}, class {class:#x}"),
        }
    }
}

impl Vcpu {
    /// A vCPU of this thread, which begins at that address.
    pub(crate) fn new(start: u64) -> Result<Self> {
        let (mut id, mut exit) = (0, ptr::null());
        // SAFETY: both are borrowed for the call; there is no configuration.
        let made = unsafe { hv_vcpu_create(&raw mut id, &raw mut exit, ptr::null_mut()) };
        HvCode::check(made).context("hv_vcpu_create")?;
        let vcpu = Self { id, exit, own_thread: PhantomData };
        // SAFETY: takes no pointer.
        HvCode::check(unsafe { hv_vcpu_set_sys_reg(id, hv_sys_reg_t::MPIDR_EL1, AFFINITY) })
            .context("hv_vcpu_set_sys_reg")?;
        vcpu.set(PC, start)?;
        vcpu.set(CPSR, EL1)?;
        Ok(vcpu)
    }

    /// Enters the guest, until it exits.
    pub(crate) fn run(&self) -> Result<Exit> {
        // SAFETY: takes no pointer.
        HvCode::check(unsafe { hv_vcpu_run(self.id) }).context("hv_vcpu_run")?;
        // SAFETY: the framework's place for this vCPU, which is written by its runs only.
        Exit::of(&unsafe { self.exit.read() })
    }

    pub(crate) fn get(&self, register: hv_reg_t) -> Result<u64> {
        let mut value = 0;
        // SAFETY: the value is borrowed for the call.
        HvCode::check(unsafe { hv_vcpu_get_reg(self.id, register, &raw mut value) })
            .context("hv_vcpu_get_reg")?;
        Ok(value)
    }

    pub(crate) fn set(&self, register: hv_reg_t, value: u64) -> Result<()> {
        // SAFETY: takes no pointer.
        HvCode::check(unsafe { hv_vcpu_set_reg(self.id, register, value) }).context("hv_vcpu_set_reg")
    }

    /// What an access writes, little-endian.
    pub(crate) fn written(&self, access: Access) -> Result<[u8; 8]> {
        let value = X.get(access.register).map_or(Ok(0), |register| self.get(*register))?;
        Ok(value.to_le_bytes())
    }

    /// What an access reads, little-endian.
    pub(crate) fn give(&self, access: Access, data: [u8; 8]) -> Result<()> {
        X.get(access.register).map_or(Ok(()), |register| self.set(*register, u64::from_le_bytes(data)))
    }

    /// The instruction is done.
    pub(crate) fn skip(&self) -> Result<()> {
        self.set(PC, self.get(PC)? + 4)
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        // SAFETY: takes no pointer.
        if let Err(error) = HvCode::check(unsafe { hv_vcpu_destroy(self.id) }) {
            eprintln!("hv_vcpu_destroy: {error}");
        }
    }
}
