//! Guest memory of the mock, painted so that a stray write shows.

use std::fmt;
use std::sync::Arc;

use netrx::mem::{GuestSlice, MemoryError, Translator};
use netrx::{Gpa, GuestMemory};

use crate::sys::{Mapped, Mapping};

/// Where the first region begins in the guest, and how far apart the beginnings are.
const FIRST: u64 = 0x4000_0000;
const STRIDE: u64 = 0x1000_0000;

/// Guest memory of one or several regions, shared by its clones.
///
/// Every byte is painted by its address. [`audit`](Self::audit) finds the bytes that changed outside of the places
/// that may.
#[derive(Clone)]
pub struct MockMemory {
    pub(crate) backing: Arc<dyn GuestMemory>,
    regions: Vec<(Gpa, usize)>,
}

impl fmt::Debug for MockMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockMemory").field("regions", &self.regions).finish_non_exhaustive()
    }
}

/// A byte was written where nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the byte at {at} was overwritten with {found:#04x}")]
pub struct Trespass {
    /// Where.
    pub at: Gpa,
    /// What stands there now.
    pub found: u8,
}

impl MockMemory {
    /// Regions of the given lengths on the heap, with gaps in the guest between them.
    #[must_use]
    pub fn heap(lens: &[usize]) -> Self {
        Self::of(lens.iter().map(|len| Mapping::heap(*len)))
    }

    /// Regions of the given lengths, rounded up to pages, each between two inaccessible pages: a write beyond one ends
    /// the process.
    ///
    /// # Errors
    /// When the system has no memory to map.
    #[cfg(unix)]
    pub fn guarded(lens: &[usize]) -> std::io::Result<Self> {
        let mappings: Vec<_> = lens.iter().map(|len| Mapping::guarded(*len)).collect::<Result<_, _>>()?;
        Ok(Self::of(mappings))
    }

    /// These regions of another implementation's memory, each an address and a length, so that a
    /// [`FakeDriver`](crate::FakeDriver) can live there. What stood in them is painted over.
    ///
    /// ```
    /// # use std::{error::Error, sync::Arc};
    /// # use netrx::{Features, Gpa, GuestMemory, RxWorkerSlot};
    /// # use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape};
    /// # fn with(mine: impl GuestMemory + 'static) -> Result<(), Box<dyn Error>> {
    /// let mine = Arc::new(mine);
    /// let memory = MockMemory::over(Arc::clone(&mine), &[(Gpa(0), 1 << 20)]);
    /// let driver = FakeDriver::new(&memory, DriverConfig::new(256, Features::VERSION_1, Shape::single(2048)))?;
    ///
    /// let slot = RxWorkerSlot::new("vm0-rx");
    /// slot.deposit_memory(mine);
    /// # slot.deposit_irq(MockIrq::new().0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn over<M: GuestMemory + 'static>(memory: Arc<M>, regions: &[(Gpa, usize)]) -> Self {
        Self::painted(memory, regions.to_vec())
    }

    fn of(mappings: impl IntoIterator<Item = Mapping>) -> Self {
        let mut mapped = Mapped::new();
        let mut regions = Vec::new();
        let mut start = Gpa(FIRST);
        for mapping in mappings {
            let len = mapping.len();
            if mapped.add(start, mapping).is_ok() {
                regions.push((start, len));
            }
            start = Gpa(start.0 + (len as u64).next_multiple_of(STRIDE));
        }
        Self::painted(Arc::new(mapped), regions)
    }

    fn painted(backing: Arc<dyn GuestMemory>, regions: Vec<(Gpa, usize)>) -> Self {
        let memory = Self { backing, regions };
        memory.paint();
        memory
    }

    /// The regions: where each begins, and its length in bytes.
    #[must_use]
    pub fn regions(&self) -> &[(Gpa, usize)] {
        &self.regions
    }

    /// The bytes from `at`, which must lie in one region.
    ///
    /// # Errors
    /// When they do not.
    pub fn slice(&self, at: Gpa, len: usize) -> Result<GuestSlice<'_>, MemoryError> {
        Translator::new(self).contiguous(at, len)
    }

    /// Finds a byte that was changed outside of the ranges that `may_change`, which are an address and a length each.
    ///
    /// # Errors
    /// The first such byte.
    pub fn audit(&self, may_change: &[(Gpa, u64)]) -> Result<(), Trespass> {
        let mut open: Vec<_> = may_change.to_vec();
        open.sort_unstable();
        for &(start, len) in &self.regions {
            let mut at = start.0;
            for &(from, bytes) in
                open.iter().filter(|(from, _)| (start.0..start.0 + len as u64).contains(&from.0))
            {
                self.audit_range(at, from.0)?;
                at = at.max(from.0 + bytes);
            }
            self.audit_range(at, start.0 + len as u64)?;
        }
        Ok(())
    }

    fn audit_range(&self, from: u64, to: u64) -> Result<(), Trespass> {
        let mut found = [0; 4096];
        let mut at = from;
        while at < to {
            let len = found.len().min((to - at) as usize);
            let Ok(slice) = self.slice(Gpa(at), len) else { return Ok(()) };
            slice.copy_to(&mut found);
            if let Some((offset, byte)) = (at..).zip(&found[..len]).find(|(at, byte)| paint_of(*at) != **byte)
            {
                return Err(Trespass { at: Gpa(offset), found: *byte });
            }
            at += len as u64;
        }
        Ok(())
    }

    fn paint(&self) {
        let mut paint = [0; 4096];
        for &(start, len) in &self.regions {
            for offset in (0..len).step_by(paint.len()) {
                let at = start.0 + offset as u64;
                paint.iter_mut().zip(at..).for_each(|(byte, at)| *byte = paint_of(at));
                if let Ok(slice) = self.slice(Gpa(at), paint.len().min(len - offset)) {
                    slice.copy_from(&paint);
                }
            }
        }
    }
}

/// The byte that stands at an address as long as nobody writes there.
fn paint_of(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
