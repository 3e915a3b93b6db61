//! Interrupts that are an edge: MSI, and pins that the guest programmed so.

use std::sync::Arc;

use kvm_ioctls::VmFd;
use netrx::{IrqError, IrqId, IrqLine};

use crate::irqfd::Irqfd;
use crate::{KvmError, MsiRoute};

/// An edge-triggered line, raised by one write to an eventfd; no vCPU leaves the guest for it.
///
/// The interrupt controller remembers one edge while the guest handles another, so none is lost. On a level-triggered pin
/// it is the wrong line: the guest may miss the pulse. There use a [`LevelPin`](crate::LevelPin).
///
/// Dropping it unbinds the eventfd. It keeps the VM open, and the MSI route that it uses.
#[derive(Debug)]
pub struct EdgeLine {
    irqfd: Irqfd,
    /// The interrupt has no meaning once its route is gone.
    _route: Option<MsiRoute>,
}

impl EdgeLine {
    pub(crate) fn new(vm: &Arc<VmFd>, irq: IrqId, route: Option<MsiRoute>) -> Result<Self, KvmError> {
        Ok(Self { irqfd: Irqfd::edge(vm, irq)?, _route: route })
    }
}

impl IrqLine for EdgeLine {
    fn raise(&mut self) -> Result<(), IrqError> {
        Ok(self.irqfd.raise()?)
    }
}
