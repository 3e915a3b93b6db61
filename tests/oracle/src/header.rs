//! `struct virtio_net_hdr`, written down a second time: from the specification, field by field, with its numbers.

use netrx::spec::{Checksum, SegmentKind};
use netrx::{Features, FrameMeta};

/// Bit numbers of the specification (sections 5.1.3 and 6).
mod bit {
    pub(super) const GUEST_CSUM: u32 = 1;
    pub(super) const GUEST_TSO4: u32 = 7;
    pub(super) const GUEST_TSO6: u32 = 8;
    pub(super) const GUEST_ECN: u32 = 9;
    pub(super) const GUEST_UFO: u32 = 10;
    pub(super) const MRG_RXBUF: u32 = 15;
    pub(super) const INDIRECT_DESC: u32 = 28;
    pub(super) const EVENT_IDX: u32 = 29;
    pub(super) const VERSION_1: u32 = 32;
    pub(super) const GUEST_USO4: u32 = 54;
    pub(super) const GUEST_USO6: u32 = 55;
}

fn has(features: Features, bit: u32) -> bool {
    features.0 >> bit & 1 == 1
}

/// Whether a frame may span several chains.
#[must_use]
pub fn merges(features: Features) -> bool {
    has(features, bit::MRG_RXBUF)
}

/// Whether the driver may use indirect tables.
#[must_use]
pub fn indirect(features: Features) -> bool {
    has(features, bit::INDIRECT_DESC)
}

/// Whether both sides say by index when they want to be notified.
#[must_use]
pub fn event_idx(features: Features) -> bool {
    has(features, bit::EVENT_IDX)
}

/// Bytes of a header.
#[must_use]
pub fn len(features: Features) -> usize {
    if has(features, bit::VERSION_1) || merges(features) { 12 } else { 10 }
}

/// The header of a frame of `frame_len` bytes in `buffers` chains; `None` if its metadata cannot be told to a driver
/// with these features.
#[must_use]
pub fn bytes(features: Features, meta: &FrameMeta, frame_len: usize, buffers: u16) -> Option<Vec<u8>> {
    let (mut flags, mut gso_type, mut hdr_len, mut gso_size) = (0, 0, 0, 0);
    let (mut csum_start, mut csum_offset) = (0, 0);
    match meta.checksum {
        Checksum::Complete => {}
        Checksum::Valid => flags = 2,
        Checksum::Partial { start, offset } => {
            (flags, csum_start, csum_offset) = (1, start, offset);
            if u32::from(start) + u32::from(offset) + 2 > frame_len as u32 {
                return None;
            }
        }
    }
    if flags != 0 && !has(features, bit::GUEST_CSUM) {
        return None;
    }
    if let Some(cut) = meta.segmentation {
        let (kind, feature) = match cut.kind {
            SegmentKind::TcpV4 => (1, bit::GUEST_TSO4),
            SegmentKind::UdpFragments => (3, bit::GUEST_UFO),
            SegmentKind::TcpV6 => (4, bit::GUEST_TSO6),
            SegmentKind::UdpV4 => (5, bit::GUEST_USO4),
            SegmentKind::UdpV6 => (5, bit::GUEST_USO6),
        };
        let acknowledged = has(features, feature) && (!cut.ecn || has(features, bit::GUEST_ECN));
        let sane = flags == 1 && cut.size != 0 && usize::from(cut.header_len) <= frame_len;
        if !acknowledged || !sane {
            return None;
        }
        (gso_type, hdr_len, gso_size) = (kind | u8::from(cut.ecn) << 7, cut.header_len, cut.size);
    }
    let mut header = vec![flags, gso_type];
    for field in [hdr_len, gso_size, csum_start, csum_offset, buffers] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.truncate(len(features));
    Some(header)
}
