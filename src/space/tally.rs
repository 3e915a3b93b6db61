//! What became of the frames of one turn.

use std::fmt;

/// Why a frame was dropped. No frame is lost for any other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The guest had no room, and the consumer chose to drop the newest frame then.
    RingFull,
    /// It fits no buffer that the guest can post (without merged buffers: not the one whose turn it is), or was cut by the one
    /// it was read into.
    TooLong,
    /// It is shorter than an Ethernet header.
    Runt,
    /// Its metadata asks for an offload that the driver did not acknowledge, or makes no sense.
    Offload,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 4] = [Self::RingFull, Self::TooLong, Self::Runt, Self::Offload];

    /// A short name, as the counters print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::TooLong => "too_long",
            Self::Runt => "runt",
            Self::Offload => "offload",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The ledger of a turn, added to the public counters at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Frames that left their source.
    pub(crate) taken: u64,
    /// Frames that are in guest memory.
    pub(crate) delivered: u64,
    /// Bytes of those.
    pub(crate) bytes: u64,
    /// Frames that were dropped, by reason.
    pub(crate) dropped: [u64; DropReason::ALL.len()],
}
