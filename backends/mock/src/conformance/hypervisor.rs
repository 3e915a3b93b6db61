//! The suite of [`Hypervisor`].

use netrx::mem::Translator;
use netrx::{Gpa, Hypervisor, HypervisorError, IrqId, IrqLine};

/// Runs the suite: `make` gives a hypervisor, an address of its memory, an interrupt that it has and one that it has not.
pub fn hypervisor<H: Hypervisor>(make: impl Fn() -> (H, Gpa, IrqId, IrqId)) {
    let (machine, at, good, bad) = make();
    memory_is_shared(&machine, at);
    let line = machine.irq_line(good);
    assert!(line.is_ok_and(|mut line| line.raise().is_ok()), "{good:?} can be raised");
    let missing = machine.irq_line(bad);
    assert!(matches!(missing, Err(HypervisorError::NoSuchIrq(irq)) if irq == bad), "there is no {bad:?}");
    assert!(machine.exit_vcpus().is_ok(), "vCPUs can be made to exit, also when none runs");
}

fn memory_is_shared<H: Hypervisor>(machine: &H, at: Gpa) {
    let (one, other) = (machine.memory(), machine.memory());
    let wrote = Translator::new(&one).contiguous(at, 2).map(|slice| slice.copy_from(b"ok"));
    let mut read = [0; 2];
    let done = Translator::new(&other).read(at, &mut read);
    assert_eq!((wrote, done, &read), (Ok(2), Ok(()), b"ok"), "both handles are the same memory at {at}");
}
