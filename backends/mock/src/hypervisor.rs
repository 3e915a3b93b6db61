//! A hypervisor without a machine.

use std::sync::atomic::{AtomicU64, Ordering};

use netrx::{Hypervisor, HypervisorError, IrqId};

use crate::{IrqProbe, MockIrq, MockMemory};

/// A hypervisor that has memory and interrupt lines, and counts how often its vCPUs were made to exit.
#[derive(Debug)]
pub struct MockHypervisor {
    memory: MockMemory,
    lines: Vec<IrqProbe>,
    exits: AtomicU64,
}

impl MockHypervisor {
    /// A machine with that memory and interrupts 0 to `lines` - 1.
    #[must_use]
    pub fn new(memory: MockMemory, lines: u32) -> Self {
        let lines = (0..lines).map(|_| MockIrq::new().1).collect();
        Self { memory, lines, exits: AtomicU64::new(0) }
    }

    /// The guest's end of an interrupt, if there is such a one.
    #[must_use]
    pub fn probe(&self, irq: IrqId) -> Option<&IrqProbe> {
        self.lines.get(irq.0 as usize)
    }

    /// How often the vCPUs were made to exit.
    #[must_use]
    pub fn exits(&self) -> u64 {
        self.exits.load(Ordering::Relaxed)
    }
}

impl Hypervisor for MockHypervisor {
    type Memory = MockMemory;
    type Irq = MockIrq;

    fn memory(&self) -> MockMemory {
        self.memory.clone()
    }

    fn irq_line(&self, irq: IrqId) -> Result<MockIrq, HypervisorError> {
        self.probe(irq).map(MockIrq::to).ok_or(HypervisorError::NoSuchIrq(irq))
    }

    fn exit_vcpus(&self) -> Result<(), HypervisorError> {
        self.exits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_makes_the_vcpus_exit_is_counted() {
        let machine = MockHypervisor::new(MockMemory::heap(&[4096]), 1);
        for exits in 0..3 {
            assert_eq!(machine.exits(), exits);
            assert!(machine.exit_vcpus().is_ok());
        }
        assert_eq!(machine.exits(), 3);
    }
}
