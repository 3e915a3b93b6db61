//! The guest's card as its TCP stack sees it: takes what the driver drained, does what a guest's kernel does with
//! large segments and partial checksums, and hands on packets of an ordinary MTU.

use std::collections::VecDeque;

use netrx_mock::Taken;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket};

pub(crate) const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
pub(crate) const GATEWAY_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const MTU: usize = 1500;
const ETHERNET: usize = 14;

/// Packets on their way into and out of the guest's stack.
#[derive(Default)]
pub(crate) struct Card {
    pub(crate) rx: VecDeque<Vec<u8>>,
    pub(crate) tx: VecDeque<Vec<u8>>,
    /// The largest frame that came.
    pub(crate) largest: usize,
}

impl Card {
    /// Takes a frame out of the ring.
    pub(crate) fn take(&mut self, taken: &Taken) {
        let (header, frame) = (&taken.header, &taken.frame);
        self.largest = self.largest.max(frame.len());
        assert_eq!(
            (&frame[..6], &frame[6..12]),
            (&GUEST_MAC[..], &GATEWAY_MAC[..]),
            "to the guest, from its gateway"
        );
        let is_v6 = frame[12..14] == [0x86, 0xdd];
        assert!(is_v6 || frame[12..14] == [0x08, 0x00]);
        let word = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (flags, gso, header_len, size) = (header[0], header[1], word(2), word(4));
        if flags & 1 == 0 {
            assert_eq!((flags, gso), (0, 0), "complete means small");
            self.rx.push_back(frame[ETHERNET..].to_vec());
            return;
        }
        let tcp = ETHERNET + if is_v6 { 40 } else { 20 };
        assert_eq!((word(6), word(8)), (tcp, 16), "the checksum is TCP's");
        if gso == 0 {
            self.rx.push_back(complete(&frame[ETHERNET..], is_v6));
            return;
        }
        assert_eq!((gso, header_len), (if is_v6 { 4 } else { 1 }, tcp + 20), "TCP, of the right kind");
        self.cut(&frame[ETHERNET..], tcp + 20 - ETHERNET, size, is_v6);
    }

    /// Cuts a large segment as its header says.
    fn cut(&mut self, packet: &[u8], headers: usize, size: usize, is_v6: bool) {
        let payload = &packet[headers..];
        assert!(payload.len() > size, "else it needs no cutting");
        assert_eq!(size, MTU - headers, "as large as the guest said that its segments may be");
        for (index, part) in payload.chunks(size).enumerate() {
            let mut piece = [&packet[..headers], part].concat();
            let tcp = headers - 20;
            let seq = u32::from_be_bytes(piece[tcp + 4..tcp + 8].try_into().expect("four bytes"));
            let seq = seq.wrapping_add((index * size) as u32);
            piece[tcp + 4..tcp + 8].copy_from_slice(&seq.to_be_bytes());
            self.rx.push_back(complete(&piece, is_v6));
        }
    }
}

/// The packet with its length and checksums made right, after a look at the pseudo-header's sum where nothing was
/// cut.
fn complete(packet: &[u8], is_v6: bool) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    assert!(bytes.len() <= MTU, "{} bytes are more than the link takes", bytes.len());
    let total = bytes.len();
    let (at, from, to): (usize, IpAddress, IpAddress) = if is_v6 {
        let mut ip = Ipv6Packet::new_unchecked(&mut bytes[..]);
        ip.set_payload_len((total - 40) as u16);
        (40, ip.src_addr().into(), ip.dst_addr().into())
    } else {
        let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.set_total_len(total as u16);
        ip.fill_checksum();
        (20, ip.src_addr().into(), ip.dst_addr().into())
    };
    TcpPacket::new_unchecked(&mut bytes[at..]).fill_checksum(&from, &to);
    bytes
}

impl Device for Card {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken, TxToken<'_>)> {
        let packet = self.rx.pop_front()?;
        Some((RxToken(packet), TxToken(&mut self.tx)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        Some(TxToken(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // All checksums are verified and made.
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

pub(crate) struct RxToken(Vec<u8>);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

pub(crate) struct TxToken<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, make: F) -> R {
        let mut packet = vec![0; len];
        let made = make(&mut packet);
        self.0.push_back(packet);
        made
    }
}
