//! From guest addresses to host runs, with the last region remembered.

use super::{Gpa, GuestMemory, GuestSlice, MemoryError, Region};

/// Resolves ranges of one memory for the length of a turn.
///
/// A guest's buffers nearly always lie in one region, so the region of the last answer is tried first; the memory is
/// asked only when it does not hold the address.
#[derive(Debug)]
pub struct Translator<'m, M: ?Sized> {
    memory: &'m M,
    /// Empty at first.
    last: Region<'m>,
}

impl<'m, M: GuestMemory + ?Sized> Translator<'m, M> {
    /// A translator over `memory`.
    pub fn new(memory: &'m M) -> Self {
        Self { memory, last: Region::EMPTY }
    }

    /// The region of the last answer.
    pub(crate) fn remembered(&self) -> Region<'m> {
        self.last
    }

    /// Records a write in the memory's dirty log.
    pub(crate) fn mark_written(&self, at: Gpa, len: u32) {
        self.memory.mark_written(at, len);
    }

    /// The longest run from `at` that is contiguous in the host, of at most `len` bytes. Never empty unless `len` is.
    ///
    /// # Errors
    /// [`MemoryError::Unmapped`] if nothing backs `at`.
    #[inline]
    pub fn run(&mut self, at: Gpa, len: usize) -> Result<GuestSlice<'m>, MemoryError> {
        match self.last.from(at) {
            Some(rest) => Ok(rest.take(len)),
            None => self.look_up(at).map(|rest| rest.take(len)),
        }
    }

    /// The `len` bytes from `at`, all of them contiguous in the host.
    ///
    /// # Errors
    /// When they are not, or nothing backs `at`, or the range leaves the address space.
    pub fn contiguous(&mut self, at: Gpa, len: usize) -> Result<GuestSlice<'m>, MemoryError> {
        let range = len as u64;
        at.checked_add(range).ok_or(MemoryError::Overflow { at, len: range })?;
        let run = self.run(at, len)?;
        if run.len() < len { Err(MemoryError::Scattered { at, len: range }) } else { Ok(run) }
    }

    /// Copies the bytes from `at` out, over as many regions as they span.
    ///
    /// # Errors
    /// When a part of the range is not backed; `to` then holds what came before it.
    pub fn read(&mut self, mut at: Gpa, mut to: &mut [u8]) -> Result<(), MemoryError> {
        while !to.is_empty() {
            let done = self.run(at, to.len())?.copy_to(to);
            at = at.checked_add(done as u64).ok_or(MemoryError::Overflow { at, len: done as u64 })?;
            to = to.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }

    #[cold]
    fn look_up(&mut self, at: Gpa) -> Result<GuestSlice<'m>, MemoryError> {
        let region = self.memory.region(at).ok_or(MemoryError::Unmapped { at })?;
        let rest = region.from(at).ok_or(MemoryError::Unmapped { at })?;
        self.last = region;
        Ok(rest)
    }
}
