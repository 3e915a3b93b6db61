//! Who is measured, and how each is named and coloured wherever it appears.

use serde::Serialize;

/// A subject of a measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// The least that could be done: the bytes copied, with no ring.
    Floor,
    /// The library at hand.
    Netrx,
    /// The library at hand, given its frames one by one.
    NetrxPut,
    /// The library at hand, with its moderation that adapts.
    NetrxAdaptive,
    /// `arcbox-net-inject`.
    Predecessor,
    /// `virtio-queue` and `vm-memory`, by `get_slice`: the cheaper of their two idioms.
    RustVmm,
    /// `virtio-queue` and `vm-memory`, by `Writer`: the usual one of their two idioms.
    RustVmmWriter,
    /// Plain `recvmmsg` into fixed buffers, with no ring.
    Recvmmsg,
    /// `recv` into a host buffer, then a copy into the guest's.
    ReadThenCopy,
    /// `recvmsg` into pieces as long as the guest's buffers, with no ring.
    Recvmsg,
}

impl Peer {
    /// Its name in the table, the report and the plots.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Netrx => "netrx",
            Self::NetrxPut => "netrx-put",
            Self::NetrxAdaptive => "netrx-adaptive",
            Self::Predecessor => "predecessor",
            Self::RustVmm => "rust-vmm",
            Self::RustVmmWriter => "rust-vmm-writer",
            Self::Recvmmsg => "recvmmsg",
            Self::ReadThenCopy => "read-then-copy",
            Self::Recvmsg => "recvmsg",
        }
    }

    /// Its colour in every plot: red, green and blue, told apart by colour-blind readers too.
    pub(crate) const fn colour(self) -> (u8, u8, u8) {
        match self {
            Self::Floor | Self::Recvmmsg | Self::Recvmsg => (140, 140, 140),
            Self::Netrx => (0, 114, 178),
            Self::NetrxPut | Self::NetrxAdaptive => (86, 180, 233),
            Self::Predecessor => (213, 94, 0),
            Self::RustVmm => (0, 158, 115),
            Self::RustVmmWriter => (204, 121, 167),
            Self::ReadThenCopy => (230, 159, 0),
        }
    }

    /// Whether it fills a ring and decides on interrupts, or only copies.
    pub(crate) const fn has_ring(self) -> bool {
        !matches!(self, Self::Floor | Self::Recvmmsg | Self::Recvmsg)
    }
}
