//! The guest's vCPU, as the loop of a VMM runs it where WFI traps: in the guest while there are frames, and asleep in the VMM
//! otherwise. The registry of `netrx-hvf` keeps it; in place of the framework it meets a counter.

#![allow(unsafe_code, reason = "exports a symbol of the framework")]

use std::sync::atomic::{AtomicU64, Ordering};

use netrx_hvf::{JoinedVcpu, Ran, Vcpus};

use crate::Result;

static EXITS: AtomicU64 = AtomicU64::new(0);

/// How often the framework was asked to make vCPUs exit, by this process.
pub(super) fn exits() -> u64 {
    EXITS.load(Ordering::Relaxed)
}

/// Counts. The guest here comes out by itself, and its next run is refused.
// SAFETY: the framework's symbol, with its signature; this crate is built where there is no framework.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpus_exit(_vcpus: *const u64, _count: u32) -> i32 {
    EXITS.fetch_add(1, Ordering::Relaxed);
    0
}

/// The only vCPU, on the thread that made this.
pub(super) struct Vcpu(JoinedVcpu);

impl Vcpu {
    pub(super) fn join(vcpus: &Vcpus) -> Result<Self> {
        Ok(Self(vcpus.join(0)?))
    }

    /// Lets the guest run, unless an exit was asked for, and sleeps until one is if the guest says that it waits.
    pub(super) fn run(&mut self, guest: impl FnOnce() -> Result<bool>) -> Result<()> {
        if let Ran::Exited(waits) = self.0.run(guest)
            && waits?
        {
            self.0.sleep(None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vcpu_in_the_guest_is_made_to_exit_and_once() -> Result<()> {
        let vcpus = Vcpus::new();
        let mut vcpu = Vcpu::join(&vcpus)?;
        let before = exits();
        vcpus.exit()?;
        assert_eq!(exits() - before, 0, "it is in the VMM");
        let mut runs = 0;
        while runs < 1 {
            vcpu.run(|| {
                runs += 1;
                vcpus.exit()?;
                vcpus.exit()?;
                Ok(false)
            })?;
        }
        assert_eq!(exits() - before, 1);
        Ok(())
    }
}
