//! The words of a split ring (section 2.7).

/// The largest queue size.
pub const MAX_SIZE: u16 = 32768;

/// Bytes of a descriptor.
pub const DESC_LEN: usize = 16;

/// Where the fields of a descriptor are, in bytes from its start (section 2.7.5).
pub mod desc {
    /// The buffer's address, or that of an indirect table.
    pub const ADDR: usize = 0;
    /// Its length in bytes.
    pub const LEN: usize = 8;
    /// What it is for.
    pub const FLAGS: usize = 12;
    /// The chain's next descriptor.
    pub const NEXT: usize = 14;
}

/// Where the fields of a used ring's entry are, in bytes from its start (section 2.7.8).
pub mod used_entry {
    /// The chain's head.
    pub const ID: usize = 0;
    /// How many bytes were written to the chain.
    pub const LEN: usize = 4;
}

/// `VIRTQ_DESC_F_NEXT`: the chain goes on at `next`.
pub const DESC_NEXT: u16 = 1;
/// `VIRTQ_DESC_F_WRITE`: the device writes this buffer; without it, the device reads it.
pub const DESC_WRITE: u16 = 2;
/// `VIRTQ_DESC_F_INDIRECT`: the buffer holds a table of descriptors.
pub const DESC_INDIRECT: u16 = 4;

/// `VIRTQ_AVAIL_F_NO_INTERRUPT`, in the available ring's flags: the driver wants no interrupts.
pub const AVAIL_NO_INTERRUPT: u16 = 1;
/// `VIRTQ_USED_F_NO_NOTIFY`, in the used ring's flags: the device wants no kicks.
pub const USED_NO_NOTIFY: u16 = 1;

/// Alignment of the descriptor table, in bytes.
pub const DESC_ALIGN: u64 = 16;
/// Alignment of the available ring, in bytes.
pub const AVAIL_ALIGN: u64 = 2;
/// Alignment of the used ring, in bytes.
pub const USED_ALIGN: u64 = 4;

/// Whether the side that wrote `event` wants to hear of the step from `old` to `new` (section 2.7.7.2): whether
/// the index `event + 1` lies in it.
#[must_use]
#[inline]
pub const fn crosses(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
