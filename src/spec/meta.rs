//! What a source knows of a frame beyond its bytes.

/// What a source knows of a frame beyond its bytes, from which the virtio-net header is made.
///
/// The default is a plain frame: complete checksums, nobody vouches for them, no segmentation. Offloads are only ever
/// taken from here, never guessed from the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// The state of the transport checksum.
    pub checksum: Checksum,
    /// How the frame is to be cut, when it is larger than the link's.
    pub segmentation: Option<Segmentation>,
}

impl FrameMeta {
    /// A frame that needs nothing of the driver.
    pub const PLAIN: Self = Self { checksum: Checksum::Complete, segmentation: None };

    /// Whether the header of this frame says nothing.
    #[must_use]
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        matches!(self.checksum, Checksum::Complete) && self.segmentation.is_none()
    }
}

/// The state of a frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// In the frame; the driver verifies it if it cares.
    #[default]
    Complete,
    /// In the frame, and verified by the source (`DATA_VALID`).
    Valid,
    /// Only the pseudo-header is summed (`NEEDS_CSUM`).
    Partial {
        /// Where summing starts, in bytes from the frame's start.
        start: u16,
        /// Where the sum goes, in bytes from `start`.
        offset: u16,
    },
}

/// How a frame larger than the link's is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// What is cut.
    pub kind: SegmentKind,
    /// Payload bytes of a segment (`gso_size`); never 0.
    pub size: u16,
    /// Bytes of the headers that each segment repeats (`hdr_len`).
    pub header_len: u16,
    /// Whether ECN bits are set in the TCP header.
    pub ecn: bool,
}

/// What a large frame carries (section 5.1.6, `gso_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP to be fragmented by IP.
    UdpFragments,
    /// UDP over IPv4 to be cut into datagrams.
    UdpV4,
    /// UDP over IPv6 to be cut into datagrams.
    UdpV6,
}
