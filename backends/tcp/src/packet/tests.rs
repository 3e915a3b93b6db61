//! Headers, as another implementation reads them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what goes wrong fails the test")]

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::*;

const FIELDS: Fields =
    Fields { seq: Seq(0xfffe_dcba), ack: Seq(0x1234_5678), window: 0xabcd, flags: flag::ACK };

fn template(remote: &str, guest: &str) -> Option<Template> {
    let address = |text: &str| text.parse().expect("an address");
    Template::new(([2, 0, 0, 0, 0, 1], address(remote)), ([2, 0, 0, 0, 0, 2], address(guest)))
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 37 + 255) as u8).collect()
}

/// Parses a frame with all checksums checked.
fn check(template: &Template, payload: &[u8]) {
    let headers = template.complete(&FIELDS, payload);
    let frame = [headers.as_ref(), payload].concat();
    let frame = EthernetFrame::new_checked(&frame).expect("a frame");
    assert_eq!((frame.dst_addr().0[5], frame.src_addr().0[5]), (2, 1));
    let (from, to, tcp): (IpAddress, IpAddress, &[u8]) = match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).expect("a packet");
            assert!(packet.verify_checksum() && packet.dont_frag());
            (packet.src_addr().into(), packet.dst_addr().into(), packet.payload())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).expect("a packet");
            (packet.src_addr().into(), packet.dst_addr().into(), packet.payload())
        }
        other => unreachable!("{other}"),
    };
    let tcp = TcpPacket::new_checked(tcp).expect("a segment");
    let parsed = TcpRepr::parse(&tcp, &from, &to, &ChecksumCapabilities::default()).expect("a good checksum");
    assert_eq!((parsed.src_port, parsed.dst_port, parsed.window_len), (80, 4000, 0xabcd));
    assert_eq!(parsed.seq_number, TcpSeqNumber(FIELDS.seq.0.cast_signed()));
    assert_eq!(parsed.ack_number, Some(TcpSeqNumber(FIELDS.ack.0.cast_signed())));
    assert_eq!(parsed.payload, payload);
}

#[test]
fn others_can_read_them() {
    for (remote, guest) in
        [("192.0.2.1:80", "10.255.254.253:4000"), ("[2001:db8::1]:80", "[fe80::ffff]:4000")]
    {
        let template = template(remote, guest).expect("one family");
        for len in [0, 1, 2, 3, 4, 5, 1447, 1448, 65_000] {
            check(&template, &payload(len));
        }
    }
}

#[test]
fn the_longest_fit_the_length_fields() {
    let v4 = template("1.2.3.4:80", "5.6.7.8:4000").expect("one family");
    let v6 = template("[::1]:80", "[::2]:4000").expect("one family");
    assert_eq!((v4.most_payload(), v6.most_payload()), (65_495, 65_515));
    check(&v4, &payload(65_495));
    check(&v6, &payload(65_515));
}

#[test]
fn a_partial_checksum_is_completed_as_a_guest_does() {
    let template = template("192.0.2.1:80", "10.255.254.253:4000").expect("one family");
    let payload = payload(777);
    let mut frame = [template.partial(&FIELDS, payload.len()).as_ref(), &payload].concat();
    let (start, offset) = template.checksum_at();
    let (start, offset) = (usize::from(start), usize::from(offset));
    let completed = !fold(sum(&frame[start..]));
    frame[start + offset..start + offset + 2].copy_from_slice(&completed.to_be_bytes());
    assert_eq!(frame, [template.complete(&FIELDS, &payload).as_ref(), &payload].concat());
}

#[test]
fn families_do_not_mix() {
    assert!(template("1.2.3.4:80", "[::2]:4000").is_none());
}
