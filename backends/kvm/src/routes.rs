//! Which number stands for which interrupt: pins of the interrupt controllers, and MSI messages.
//!
//! KVM takes the whole table at once and tells it to nobody, so it is kept here. Until the first MSI route it is the one
//! that KVM made with the interrupt controllers, and is left alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_irqchip,
    kvm_irq_routing_msi,
};
use kvm_ioctls::{Cap, VmFd};
use netrx::IrqId;

use crate::KvmError;

/// Pins of the IOAPIC, of which the first are the two PICs' as well.
const PINS: u32 = 24;
const PIC_PINS: u32 = 8;

/// What a device writes, and where, to interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// The address: which processors.
    pub address: u64,
    /// The data: which vector, and how.
    pub data: u32,
}

/// An MSI message's number among the VM's interrupts. All clones are the same route.
///
/// The route is removed when the last clone is dropped, and the last [`EdgeLine`](crate::EdgeLine) on it.
#[derive(Clone, Debug)]
pub struct MsiRoute(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    routes: Arc<Routes>,
    irq: IrqId,
}

impl MsiRoute {
    /// The number, for [`irq_line`](netrx::Hypervisor::irq_line).
    #[must_use]
    pub fn irq(&self) -> IrqId {
        self.0.irq
    }

    /// Changes the message, as the driver does by reprogramming its MSI-X table. Lines on the route need not know.
    ///
    /// # Errors
    /// When KVM refuses; the old message is still valid then.
    pub fn set(&self, message: MsiMessage) -> Result<(), KvmError> {
        let mut msis = self.0.routes.lock();
        let Some(msi) = msis.get(&self.0.irq.0).map(|msi| Msi { message, ..msi.clone() }) else {
            return Err(KvmError::NoSuchIrq(self.0.irq));
        };
        self.0.routes.change(&mut msis, self.0.irq, Some(msi))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut msis = self.routes.lock();
        // The number of a route that was refused may be another's by now.
        if msis.get(&self.irq.0).is_none_or(|msi| !std::ptr::eq(msi.route.as_ptr(), self)) {
            return;
        }
        if let Err(error) = self.routes.change(&mut msis, self.irq, None) {
            // Harmless: no line is on it. The next change removes it.
            tracing::debug!(%error, "an MSI route stays until the next change");
            msis.remove(&self.irq.0);
        }
    }
}

/// One VM's table.
#[derive(Debug)]
pub(crate) struct Routes {
    vm: Arc<VmFd>,
    msis: Mutex<Msis>,
}

type Msis = BTreeMap<u32, Msi>;

#[derive(Clone, Debug)]
struct Msi {
    message: MsiMessage,
    route: Weak<Entry>,
}

impl Routes {
    pub(crate) fn new(vm: Arc<VmFd>) -> Arc<Self> {
        Arc::new(Self { vm, msis: Mutex::default() })
    }

    /// Gives a message a number.
    pub(crate) fn add(self: &Arc<Self>, message: MsiMessage) -> Result<MsiRoute, KvmError> {
        let mut msis = self.lock();
        let limit = u32::try_from(self.vm.check_extension_int(Cap::IrqRouting)).unwrap_or_default();
        let irq = free_number(&msis, limit)?;
        let mut added = Ok(());
        let entry = Arc::new_cyclic(|route| {
            added = self.change(&mut msis, irq, Some(Msi { message, route: route.clone() }));
            Entry { routes: Arc::clone(self), irq }
        });
        // The entry of a route that was refused locks the table when it is dropped.
        drop(msis);
        added.map(|()| MsiRoute(entry))
    }

    /// Whether the VM has the interrupt, with the route to be kept if it is one.
    pub(crate) fn find(&self, irq: IrqId) -> Result<Option<MsiRoute>, KvmError> {
        if irq.0 < PINS {
            return Ok(None);
        }
        let route = self.lock().get(&irq.0).and_then(|msi| msi.route.upgrade());
        route.map(|entry| Some(MsiRoute(entry))).ok_or(KvmError::NoSuchIrq(irq))
    }

    /// Changes one route, in KVM and then here.
    fn change(&self, msis: &mut Msis, irq: IrqId, to: Option<Msi>) -> Result<(), KvmError> {
        let others = msis.iter().filter(|(number, _)| **number != irq.0);
        let others = others.map(|(number, msi)| msi_entry(*number, msi.message));
        let changed = to.iter().map(|msi| msi_entry(irq.0, msi.message));
        let entries: Vec<_> = pins().chain(others).chain(changed).collect();
        let table = KvmIrqRouting::from_entries(&entries).map_err(|_| KvmError::NoFreeIrq(irq.0))?;
        self.vm.set_gsi_routing(&table).map_err(|cause| KvmError::Route { irq, cause: cause.into() })?;
        match to {
            Some(msi) => msis.insert(irq.0, msi),
            None => msis.remove(&irq.0),
        };
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Msis> {
        self.msis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first number behind the pins that nothing has.
fn free_number<T>(taken: &BTreeMap<u32, T>, limit: u32) -> Result<IrqId, KvmError> {
    let free = (PINS..limit).find(|irq| !taken.contains_key(irq));
    free.map(IrqId).ok_or(KvmError::NoFreeIrq(limit))
}

/// The pins as KVM routes them when it makes the interrupt controllers.
fn pins() -> impl Iterator<Item = kvm_irq_routing_entry> {
    let master = (0..PIC_PINS).map(|pin| pin_entry(pin, KVM_IRQCHIP_PIC_MASTER, pin));
    let slave = (0..PIC_PINS).map(|pin| pin_entry(PIC_PINS + pin, KVM_IRQCHIP_PIC_SLAVE, pin));
    let ioapic = (0..PINS).map(|pin| pin_entry(pin, KVM_IRQCHIP_IOAPIC, pin));
    master.chain(slave).chain(ioapic)
}

fn pin_entry(gsi: u32, irqchip: u32, pin: u32) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
    entry.u.irqchip = kvm_irq_routing_irqchip { irqchip, pin };
    entry
}

fn msi_entry(gsi: u32, MsiMessage { address, data }: MsiMessage) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
    let (address_lo, address_hi) = (address as u32, (address >> 32) as u32);
    entry.u.msi = kvm_irq_routing_msi { address_lo, address_hi, data, ..Default::default() };
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_run_out() {
        let mut taken: BTreeMap<_, _> = (PINS..30).map(|irq| (irq, ())).collect();
        assert!(matches!(free_number(&taken, 31), Ok(IrqId(30))));
        assert!(matches!(free_number(&taken, 30), Err(KvmError::NoFreeIrq(30))));
        taken.remove(&27);
        assert!(matches!(free_number(&taken, 30), Ok(IrqId(27))));
    }
}
