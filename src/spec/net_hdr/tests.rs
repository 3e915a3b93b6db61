//! Headers for every subset of the features that concern them.

use super::*;

fn partial() -> FrameMeta {
    FrameMeta { checksum: Checksum::Partial { start: 34, offset: 16 }, segmentation: None }
}

fn cut(kind: SegmentKind) -> FrameMeta {
    let segmentation = Some(Segmentation { kind, size: 1448, header_len: 66, ecn: false });
    FrameMeta { segmentation, ..partial() }
}

#[test]
fn header_length_follows_acknowledged_features() {
    assert_eq!(HeaderRules::new(Features::NONE).len(), 10);
    assert_eq!(HeaderRules::new(Features::MRG_RXBUF).len(), 12);
    assert_eq!(HeaderRules::new(Features::VERSION_1).len(), 12);
}

#[test]
fn fields_stand_where_the_specification_puts_them() {
    let rules = HeaderRules::new(Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::VERSION_1);
    let header = rules.header(&cut(SegmentKind::TcpV4), 60_000).map(|header| header.with_buffers(0x0203));
    assert_eq!(header.map(|header| *header.bytes()), Ok([1, 1, 66, 0, 0xa8, 0x05, 34, 0, 16, 0, 3, 2]));
}

/// A feature that was offered but not acknowledged must not show in a header (firecracker#4659).
#[test]
fn every_offload_needs_its_feature() {
    use SegmentKind::{TcpV4, TcpV6, UdpFragments, UdpV4, UdpV6};
    let bits = [
        Features::GUEST_CSUM,
        Features::GUEST_TSO4,
        Features::GUEST_TSO6,
        Features::GUEST_UFO,
        Features::GUEST_USO4,
        Features::GUEST_USO6,
    ];
    let needs =
        [(TcpV4, bits[1]), (TcpV6, bits[2]), (UdpFragments, bits[3]), (UdpV4, bits[4]), (UdpV6, bits[5])];
    for subset in 0..1_u32 << bits.len() {
        let chosen = bits.iter().enumerate().filter(|(bit, _)| subset & (1 << bit) != 0);
        let acknowledged = chosen.fold(Features::NONE, |all, (_, bit)| all | *bit);
        let rules = HeaderRules::new(acknowledged);
        assert_eq!(rules.header(&partial(), 1514).is_ok(), acknowledged.has(Features::GUEST_CSUM));
        for (kind, bit) in needs {
            let told = rules.header(&cut(kind), 60_000).is_ok();
            assert_eq!(told, acknowledged.has(bit | Features::GUEST_CSUM), "{kind:?} under {acknowledged:?}");
        }
    }
}

#[test]
fn ecn_needs_its_feature() {
    let mut meta = cut(SegmentKind::TcpV4);
    meta.segmentation = meta.segmentation.map(|cut| Segmentation { ecn: true, ..cut });
    let without = Features::GUEST_CSUM | Features::GUEST_TSO4;
    let refused = HeaderRules::new(without).header(&meta, 60_000);
    assert_eq!(refused, Err(OffloadError::NotAcknowledged(Features::GUEST_ECN)));
    let header = HeaderRules::new(without | Features::GUEST_ECN).header(&meta, 60_000);
    assert_eq!(header.map(|header| header.bytes()[at::GSO_TYPE]), Ok(GSO_TCPV4 | GSO_ECN));
}

/// Offsets outside of the frame (CVE-2024-11614).
#[test]
fn offsets_outside_of_the_frame_are_refused() {
    let rules = HeaderRules::new(Features::GUEST_CSUM | Features::GUEST_TSO4);
    assert!(rules.header(&partial(), 52).is_ok());
    assert_eq!(rules.header(&partial(), 51), Err(OffloadError::ChecksumOutside { end: 52, frame_len: 51 }));
    assert!(matches!(rules.header(&cut(SegmentKind::TcpV4), 65), Err(OffloadError::Segmentation { .. })));
    let uncut = FrameMeta { checksum: Checksum::Complete, ..cut(SegmentKind::TcpV4) };
    assert!(matches!(rules.header(&uncut, 60_000), Err(OffloadError::Segmentation { .. })));
}
