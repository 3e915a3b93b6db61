//! The guest's memory: a table of what the VMM mapped in the host, and what of it the guest sees.

use std::sync::Arc;

use netrx::Gpa;

use crate::HvfError;
use crate::sys::{HostMapping, Shown, Table};

/// Guest memory over host mappings, which it keeps alive. Clones are the same memory.
///
/// It is a table for the device's side. The guest sees the memory while there is a [`GuestMapping`] of it, or where the VMM
/// called `hv_vm_map` itself.
#[derive(Clone, Debug)]
pub struct HvfMemory {
    pub(crate) table: Arc<Table>,
}

impl HvfMemory {
    /// Memory of these regions: where each begins in the guest, and where it is in the host.
    ///
    /// # Errors
    /// When a region is empty, leaves the address space, or overlaps another.
    pub fn new(regions: impl IntoIterator<Item = (Gpa, HostMapping)>) -> Result<Self, HvfError> {
        let mut table = Table::default();
        for (start, mapping) in regions {
            table.insert(start, mapping)?;
        }
        Ok(Self { table: Arc::new(table) })
    }

    /// The regions: where each begins in the guest, and its length in bytes.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = (Gpa, usize)> {
        self.table.regions().iter().map(|(start, mapping)| (*start, mapping.len()))
    }
}

/// Memory that the guest sees, may write and may execute, for as long as this lives.
///
/// It keeps the memory mapped in the host. Dropping it takes the memory from the guest, which finds nothing at those
/// addresses from then on. It may be dropped after the VM was destroyed, but not once the process has made another one, whose
/// memory at the same addresses it would take.
#[derive(Debug)]
pub struct GuestMapping(Vec<Shown>);

impl GuestMapping {
    /// Shows every region of `memory` to the guest, by `hv_vm_map`.
    ///
    /// # Errors
    /// When the framework refuses one of the regions, which the error names; those before it are taken back.
    pub fn map(memory: &HvfMemory) -> Result<Self, HvfError> {
        let regions = memory.table.regions().iter();
        regions.map(|(start, mapping)| Shown::map(*start, mapping)).collect::<Result<_, _>>().map(Self)
    }

    /// How many regions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the memory has no region.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
