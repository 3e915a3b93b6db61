//! The programs that vCPUs run: closures, each on a thread that goes on only while its vCPU is in the guest.

use std::thread::{self, JoinHandle};

use applevisor_sys::{hv_exit_reason_t, hv_reg_t, hv_vcpu_exit_exception_t, hv_vcpu_exit_t};

use super::gic::is_redistributors;
use super::state::{Locked, Vcpu, changed, lock, wait};

/// A guest's program.
pub(crate) type Program = Box<dyn FnOnce(&Cpu) -> Result<(), Off> + Send>;

/// The vCPU is gone: the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Off;

/// The vCPU, as its program sees it.
pub(crate) struct Cpu(u64);

/// Something the VMM has to do for the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trap {
    /// A read of 32 bits, into X1.
    Read { at: u64 },
    /// A write of 32 bits, from X1.
    Write { at: u64 },
    /// WFI, where it traps.
    Wait,
    /// PSCI's `SYSTEM_OFF`, by HVC.
    SystemOff,
}

/// The register that is read into and written from.
const DATA: usize = hv_reg_t::X1 as usize;
const PC: usize = hv_reg_t::PC as usize;
/// Exception classes, and the bits of a data abort's syndrome (Arm ARM, ESR_EL2).
const DATA_ABORT: u64 = 0x24 << 26;
const WAIT: u64 = 0x01 << 26;
const HVC: u64 = 0x16 << 26;
const VALID: u64 = 1 << 24;
const WORD: u64 = 2 << 22;
const WRITE: u64 = 1 << 6;
/// PSCI's number of `SYSTEM_OFF`.
const SYSTEM_OFF: u64 = 0x8400_0008;

impl Trap {
    /// How the VMM is told.
    pub(crate) fn exit(self) -> hv_vcpu_exit_t {
        let access = DATA_ABORT | VALID | WORD | ((DATA as u64) << 16);
        let (syndrome, physical_address) = match self {
            Self::Read { at } => (access, at),
            Self::Write { at } => (access | WRITE, at),
            Self::Wait => (WAIT, 0),
            Self::SystemOff => (HVC, 0),
        };
        let exception =
            hv_vcpu_exit_exception_t { syndrome, virtual_address: physical_address, physical_address };
        hv_vcpu_exit_t { reason: hv_exit_reason_t::EXCEPTION, exception }
    }
}

/// Starts a vCPU's program; when it ends, it turns the machine off.
pub(crate) fn start(vcpu: u64, program: Program) -> JoinHandle<()> {
    thread::spawn(move || {
        let cpu = Cpu(vcpu);
        if program(&cpu).is_ok() {
            // Either way nothing comes after it.
            let _ = cpu.trap(Trap::SystemOff, SYSTEM_OFF);
        }
    })
}

impl Cpu {
    /// Reads a device's register.
    pub(crate) fn read(&self, at: u64) -> Result<u32, Off> {
        if self.is_gics(at)? {
            return Ok(0);
        }
        self.trap(Trap::Read { at }, 0).map(|value| value as u32)
    }

    /// Writes a device's register.
    pub(crate) fn write(&self, at: u64, value: u32) -> Result<(), Off> {
        if self.is_gics(at)? {
            return Ok(());
        }
        self.trap(Trap::Write { at }, value.into()).map(drop)
    }

    /// Whether an access is the GIC's to answer, so that the vCPU does not exit. A redistributor reads as 0 here.
    fn is_gics(&self, at: u64) -> Result<bool, Off> {
        Ok(is_redistributors(&*self.enter()?, at))
    }

    /// Sleeps in the guest until an interrupt is high.
    pub(crate) fn wait_high(&self, spi: u32) -> Result<(), Off> {
        let mut state = self.enter()?;
        while !state.spi(spi).high {
            state = self.inside(wait(state, None))?;
        }
        Ok(())
    }

    /// The same where WFI traps, so that the VMM is told each time; it does not while the interrupt is pending.
    pub(crate) fn wait_high_trapped(&self, spi: u32) -> Result<(), Off> {
        while !self.enter()?.spi(spi).high {
            self.trap(Trap::Wait, 0)?;
        }
        Ok(())
    }

    /// Has the VMM do something, as often as it takes until it has moved the program counter on, and goes on in the guest.
    fn trap(&self, trap: Trap, value: u64) -> Result<u64, Off> {
        let mut state = self.enter()?;
        let before = self.vcpu(&mut state)?.registers[PC];
        loop {
            let vcpu = self.vcpu(&mut state)?;
            vcpu.registers[DATA] = value;
            vcpu.registers[hv_reg_t::X0 as usize] = value;
            vcpu.trap = Some(trap);
            changed();
            while self.vcpu(&mut state)?.trap.is_some() {
                state = wait(state, None);
            }
            state = self.inside(state)?;
            let vcpu = self.vcpu(&mut state)?;
            if vcpu.registers[PC] == before + 4 {
                return Ok(vcpu.registers[DATA]);
            }
        }
    }

    fn enter(&self) -> Result<Locked, Off> {
        self.inside(lock())
    }

    /// Goes on once the vCPU is in the guest.
    fn inside(&self, mut state: Locked) -> Result<Locked, Off> {
        while !self.vcpu(&mut state)?.inside {
            state = wait(state, None);
        }
        Ok(state)
    }

    fn vcpu<'s>(&self, state: &'s mut Locked) -> Result<&'s mut Vcpu, Off> {
        state.vcpus.get_mut(&self.0).ok_or(Off)
    }
}
