//! The guest side, alike for all subjects: memory, the layout of a split ring in it, and a driver.

mod driver;
mod layout;
mod memory;
pub(crate) mod netrx;
mod ram;

pub(crate) use driver::Driver;
pub(crate) use layout::{Layout, SEATS, Shape};
pub(crate) use memory::RamMap;
pub(crate) use ram::{GPA_BASE, GuestRam};

/// Length of the virtio-net header every subject writes.
pub(crate) const HEADER_LEN: usize = 12;

/// The virtio-net header of a plain frame that spans `buffers` buffers.
pub(crate) fn plain_header(buffers: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[10..].copy_from_slice(&buffers.to_le_bytes());
    header
}

/// Whether moving an index from `old` to `new` passes `event`: the decision of EVENT_IDX, in both directions.
pub(crate) fn passes_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
