//! What a [`Device`](crate::Device) needs of a queue, whoever implements it.

use netrx::Gpa;
use netrx::ring::Cursor;
use netrx_mock::MockMemory;

/// A queue from the device's side, over a copy of the guest's memory.
pub trait Queue {
    /// Copies what the driver wrote in `memory`.
    fn sync(&mut self, memory: &MockMemory, at: Gpa, len: usize);

    /// The first byte in which `memory` is not as this queue left its copy.
    fn first_difference(&mut self, memory: &MockMemory) -> Option<Gpa>;

    /// Looks whether chains are available.
    ///
    /// # Errors
    /// When the driver's index makes no sense.
    fn look(&mut self) -> Result<bool, Broken>;

    /// Pops the next available chain.
    ///
    /// # Errors
    /// When the driver's index makes no sense.
    fn pop(&mut self) -> Result<Option<Popped>, Broken>;

    /// Writes bytes into a buffer.
    fn write(&mut self, at: Gpa, bytes: &[u8]);

    /// Completes a chain that was popped and is a frame's.
    fn complete(&mut self, head: u16, written: u32);

    /// Completes a chain that is of no use, with length 0.
    fn reject(&mut self, popped: &Popped);

    /// Shows the driver what was completed; returns whether there was anything.
    fn publish(&mut self) -> bool;

    /// Whether the driver wants an interrupt for what was published since the last answer.
    fn wants_interrupt(&mut self) -> bool;

    /// Asks for kicks, or asks for none.
    fn want_kicks(&mut self, wanted: bool);

    /// Whether chains are available that were not popped.
    fn has_more(&self) -> bool;

    /// How many entries its table has.
    fn size(&self) -> usize;

    /// Where it stands.
    fn cursor(&self) -> Cursor;

    /// Begins anew at `cursor`.
    fn restart(&mut self, cursor: Cursor);
}

/// The driver's index makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A chain that was popped.
#[derive(Clone, Debug)]
pub struct Popped {
    /// Its head.
    pub head: u16,
    /// Its buffers; `None` if it breaks a rule.
    pub chain: Option<Chain>,
}

/// A chain that keeps the rules.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Its buffers.
    pub buffers: Vec<(Gpa, u32)>,
    /// How many entries of the queue's own table it takes.
    pub entries: usize,
}

impl Chain {
    /// Bytes that can be written.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffers.iter().map(|(_, len)| *len as usize).sum()
    }
}
