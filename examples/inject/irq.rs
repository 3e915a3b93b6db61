//! An interrupt line that notes when it was raised, and what for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use netrx::mem::{GuestArray, Translator};
use netrx::{Gpa, IrqError, IrqLine};
use netrx_mock::{MockIrq, MockMemory};

/// One interrupt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raise {
    /// When the guest could see it.
    pub(crate) at: Instant,
    /// The used index at that moment: the entries before it are what the interrupt announces.
    pub(crate) used: u16,
}

/// The interrupts that the guest has not looked at.
#[derive(Clone, Default)]
pub(crate) struct Raises(Arc<Mutex<Vec<Raise>>>);

impl Raises {
    /// Moves all of them to the end of `to`.
    pub(crate) fn take(&self, to: &mut VecDeque<Raise>) {
        to.extend(self.lock().drain(..));
    }

    #[cfg(test)]
    pub(crate) fn push(&self, raise: Raise) {
        self.lock().push(raise);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Raise>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mock's line, with notes.
pub(crate) struct NotedLine {
    line: MockIrq,
    memory: MockMemory,
    used_ring: Gpa,
    raises: Raises,
}

impl NotedLine {
    /// Notes in `raises` what `line` does for the queue whose used ring is at `used_ring`.
    pub(crate) fn new(line: MockIrq, memory: MockMemory, used_ring: Gpa, raises: Raises) -> Self {
        Self { line, memory, used_ring, raises }
    }

    /// How far the used ring is filled.
    fn used_index(&self) -> u16 {
        let mut translator = Translator::new(&self.memory);
        let words = GuestArray::<u16>::new(&mut translator, self.used_ring, 2);
        words.map_or(0, |words| words.load(1, Ordering::Relaxed))
    }
}

impl IrqLine for NotedLine {
    fn raise(&mut self) -> Result<(), IrqError> {
        let used = self.used_index();
        // Held until the note is written: a guest that is awake sooner has to wait for it.
        let mut raises = self.raises.lock();
        self.line.raise()?;
        raises.push(Raise { at: Instant::now(), used });
        Ok(())
    }
}
