//! The suite of [`LevelLine`].

use netrx::LevelLine;

/// Runs the suite: `make` gives a line that was not set yet, and a closure that tells whether the guest's interrupt
/// controller sees it high; where the line falls only at the guest's end of interrupt, after those that the guest was in.
pub fn level<L: LevelLine, F: FnMut() -> bool>(make: impl Fn() -> (L, F)) {
    follows(&make);
    from_another_thread(&make);
    from_two_threads(make);
}

/// The line is as it was last set, however often it is told so.
fn follows<L: LevelLine, F: FnMut() -> bool>(make: impl Fn() -> (L, F)) {
    let (line, mut is_high) = make();
    assert!(!is_high(), "a new line is low");
    for (step, high) in [false, true, true, false, false, true, false].into_iter().enumerate() {
        assert!(line.set(high).is_ok(), "step {step}: the line was set");
        assert_eq!(is_high(), high, "step {step}: the line is as it was set");
    }
}

/// Calls that meet each other are both carried out: the next one finds a line that it can set.
fn from_two_threads<L: LevelLine, F: FnMut() -> bool>(make: impl Fn() -> (L, F)) {
    let (line, mut is_high) = make();
    std::thread::scope(|scope| {
        for high in [false, true] {
            let line = &line;
            scope.spawn(move || (0..1000).for_each(|_| assert!(line.set(high).is_ok(), "the line was set")));
        }
    });
    for high in [true, false] {
        assert!(line.set(high).is_ok() && is_high() == high, "the line is as it was set last");
    }
}

/// The vCPU's thread lowers what the worker's raised.
fn from_another_thread<L: LevelLine, F: FnMut() -> bool>(make: impl Fn() -> (L, F)) {
    let (line, mut is_high) = make();
    assert!(line.set(true).is_ok() && is_high(), "the line was raised");
    let lowered = std::thread::scope(|scope| scope.spawn(move || line.set(false).is_ok()).join());
    assert!(matches!(lowered, Ok(true)) && !is_high(), "the line was lowered from another thread");
}
