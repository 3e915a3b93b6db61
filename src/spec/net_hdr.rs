//! The header in front of each frame: `struct virtio_net_hdr` (section 5.1.6).

use super::{Checksum, Features, FrameMeta, SegmentKind, Segmentation};

const FLAG_NEEDS_CSUM: u8 = 1;
const FLAG_DATA_VALID: u8 = 2;
const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// The fields' places in the header, in bytes.
mod at {
    pub(super) const FLAGS: usize = 0;
    pub(super) const GSO_TYPE: usize = 1;
    pub(super) const HDR_LEN: usize = 2;
    pub(super) const GSO_SIZE: usize = 4;
    pub(super) const CSUM_START: usize = 6;
    pub(super) const CSUM_OFFSET: usize = 8;
    pub(super) const NUM_BUFFERS: usize = 10;
}

/// What the acknowledged features say of headers: how long they are and what they may ask for.
#[derive(Clone, Copy, Debug)]
pub struct HeaderRules {
    features: Features,
    len: usize,
    plain: NetHeader,
}

impl HeaderRules {
    /// The longest header, in bytes.
    pub const MAX_LEN: usize = 12;
    const LEGACY_LEN: usize = 10;

    /// The rules under the features that the driver acknowledged.
    #[must_use]
    pub fn new(features: Features) -> Self {
        let counted = features.has(Features::VERSION_1) || features.has(Features::MRG_RXBUF);
        let len = if counted { Self::MAX_LEN } else { Self::LEGACY_LEN };
        let plain = NetHeader::BLANK.with_buffers(1);
        Self { features, len, plain }
    }

    /// Bytes of the header: 12 with `VERSION_1` or `MRG_RXBUF`, else 10.
    #[must_use]
    #[inline(always)]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Never: a header has at least ten bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The features that they follow.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Whether a frame may span several of the driver's buffers.
    #[must_use]
    pub const fn mergeable(&self) -> bool {
        self.features.has(Features::MRG_RXBUF)
    }

    /// The header of a plain frame in one buffer.
    #[must_use]
    #[inline(always)]
    pub const fn plain(&self) -> &NetHeader {
        &self.plain
    }

    /// The bytes of a frame's header that spans `buffers` of the driver's buffers: its `own`, or the plain one. They are
    /// written to `place` unless they stand ready: what was just written cannot be copied on until all writes before are
    /// done, such as those of the last frame.
    #[inline]
    pub(crate) fn bytes<'h>(
        &'h self,
        own: Option<NetHeader>,
        buffers: u16,
        place: &'h mut NetHeader,
    ) -> &'h [u8] {
        let header = match own {
            None if buffers == 1 => &self.plain,
            own => {
                *place = own.unwrap_or(self.plain).with_buffers(buffers);
                place
            }
        };
        header.0.get(..self.len).unwrap_or_default()
    }

    /// The header of a frame of `frame_len` bytes, in one buffer.
    ///
    /// # Errors
    /// When the metadata asks for what the driver did not acknowledge, or points outside of the frame.
    pub fn header(&self, meta: &FrameMeta, frame_len: usize) -> Result<NetHeader, OffloadError> {
        let mut header = self.plain;
        match meta.checksum {
            Checksum::Complete => {}
            Checksum::Valid => {
                self.need(Features::GUEST_CSUM)?;
                header.0[at::FLAGS] = FLAG_DATA_VALID;
            }
            Checksum::Partial { start, offset } => {
                self.need(Features::GUEST_CSUM)?;
                let end = usize::from(start) + usize::from(offset) + 2;
                if end > frame_len {
                    return Err(OffloadError::ChecksumOutside { end, frame_len });
                }
                header.0[at::FLAGS] = FLAG_NEEDS_CSUM;
                header.put_u16(at::CSUM_START, start);
                header.put_u16(at::CSUM_OFFSET, offset);
            }
        }
        if let Some(segmentation) = meta.segmentation {
            self.segmented(&mut header, &segmentation, meta.checksum, frame_len)?;
        }
        Ok(header)
    }

    fn segmented(
        &self,
        header: &mut NetHeader,
        cut: &Segmentation,
        checksum: Checksum,
        frame_len: usize,
    ) -> Result<(), OffloadError> {
        let (gso_type, feature) = match cut.kind {
            SegmentKind::TcpV4 => (GSO_TCPV4, Features::GUEST_TSO4),
            SegmentKind::TcpV6 => (GSO_TCPV6, Features::GUEST_TSO6),
            SegmentKind::UdpFragments => (GSO_UDP, Features::GUEST_UFO),
            SegmentKind::UdpV4 => (GSO_UDP_L4, Features::GUEST_USO4),
            SegmentKind::UdpV6 => (GSO_UDP_L4, Features::GUEST_USO6),
        };
        self.need(feature)?;
        if cut.ecn {
            self.need(Features::GUEST_ECN)?;
        }
        let partial = matches!(checksum, Checksum::Partial { .. });
        if !partial || cut.size == 0 || usize::from(cut.header_len) > frame_len {
            return Err(OffloadError::Segmentation { cut: *cut, frame_len });
        }
        header.0[at::GSO_TYPE] = gso_type | if cut.ecn { GSO_ECN } else { 0 };
        header.put_u16(at::HDR_LEN, cut.header_len);
        header.put_u16(at::GSO_SIZE, cut.size);
        Ok(())
    }

    fn need(&self, feature: Features) -> Result<(), OffloadError> {
        if self.features.has(feature) { Ok(()) } else { Err(OffloadError::NotAcknowledged(feature)) }
    }
}

/// A header, at its longest; a legacy driver gets its first ten bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetHeader([u8; HeaderRules::MAX_LEN]);

impl NetHeader {
    /// Says nothing, not even of buffers.
    pub(crate) const BLANK: Self = Self([0; HeaderRules::MAX_LEN]);

    /// Its bytes.
    #[must_use]
    #[inline(always)]
    pub const fn bytes(&self) -> &[u8; HeaderRules::MAX_LEN] {
        &self.0
    }

    /// The same header for a frame that spans `buffers` of the driver's buffers (`num_buffers`).
    #[must_use]
    pub fn with_buffers(mut self, buffers: u16) -> Self {
        self.put_u16(at::NUM_BUFFERS, buffers);
        self
    }

    fn put_u16(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
}

/// Why a frame's metadata cannot be told to this driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffloadError {
    /// The driver did not acknowledge the feature that it needs.
    #[error("the frame needs {0:?}, which the driver did not acknowledge")]
    NotAcknowledged(Features),
    /// The checksum's place is not in the frame.
    #[error("the checksum ends at byte {end} of a frame of {frame_len}")]
    ChecksumOutside {
        /// Where the checksum field ends, in bytes from the frame's start.
        end: usize,
        /// The frame's length in bytes.
        frame_len: usize,
    },
    /// A segment's size is 0, its headers are longer than the frame, or its checksum is not partial.
    #[error("{cut:?} makes no sense for a frame of {frame_len} bytes")]
    Segmentation {
        /// What was asked for.
        cut: Segmentation,
        /// The frame's length in bytes.
        frame_len: usize,
    },
}

#[cfg(test)]
mod tests;
