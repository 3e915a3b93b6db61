//! The suite of [`IrqLine`].

use netrx::IrqLine;

/// Runs the suite: `make` gives a line, and a closure that tells how many interrupts the guest has seen of it.
///
/// A line may merge interrupts that the guest has not yet taken, so only the first after a look is counted.
pub fn irq<I: IrqLine, F: FnMut() -> u64>(make: impl Fn() -> (I, F)) {
    let (mut line, mut seen) = make();
    let mut before = seen();
    for round in 0..100 {
        assert!(line.raise().is_ok(), "interrupt {round} was raised");
        let now = seen();
        assert!(now > before, "the guest saw interrupt {round}");
        before = now;
    }
    from_another_thread(make);
}

fn from_another_thread<I: IrqLine, F: FnMut() -> u64>(make: impl Fn() -> (I, F)) {
    let (mut line, mut seen) = make();
    let before = seen();
    let raised = std::thread::scope(|scope| scope.spawn(move || line.raise().is_ok()).join());
    assert!(matches!(raised, Ok(true)), "an interrupt from another thread");
    assert!(seen() > before, "the guest saw an interrupt from another thread");
}
