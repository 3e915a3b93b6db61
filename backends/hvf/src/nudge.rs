//! Lines that also make the vCPUs exit.

use netrx::{IrqError, IrqLine, LevelLine};

use crate::Vcpus;

/// A line that makes the vCPUs exit each time it is raised, so that one whose thread [sleeps](crate::JoinedVcpu::sleep)
/// outside of the guest looks at its interrupts.
///
/// Requests merge: however often it is raised, a vCPU is asked once for each time that it comes back.
#[derive(Debug)]
pub struct Nudging<L> {
    line: L,
    vcpus: Vcpus,
}

impl<L> Nudging<L> {
    /// `line`, and then the vCPUs of that registry.
    pub const fn new(line: L, vcpus: Vcpus) -> Self {
        Self { line, vcpus }
    }
}

impl<L: IrqLine> IrqLine for Nudging<L> {
    fn raise(&mut self) -> Result<(), IrqError> {
        self.line.raise()?;
        Ok(self.vcpus.exit()?)
    }
}

impl<L: LevelLine> LevelLine for Nudging<L> {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        self.line.set(high)?;
        if high {
            self.vcpus.exit()?;
        }
        Ok(())
    }
}
