//! The guest's card as its TCP stack sees it: takes what the driver drained, does what a guest's kernel does with
//! large segments and partial checksums, and hands on packets of an ordinary MTU.

use std::collections::VecDeque;

use netrx_mock::Taken;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

pub(crate) const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
pub(crate) const GATEWAY_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const MTU: usize = 1500;
const ETHERNET: usize = 14;
/// Where the checksum is in a TCP header.
const CHECKSUM: usize = 16;

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
        let field = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (flags, gso, header_len, size) = (header[0], header[1], field(2), field(4));
        let (start, offset) = (field(6), field(8));
        if flags & 1 == 0 {
            assert_eq!((flags, gso), (0, 0), "complete means small");
            self.rx.push_back(frame[ETHERNET..].to_vec());
            return;
        }
        let tcp = ETHERNET + if is_v6 { 40 } else { 20 };
        assert_eq!((start, offset), (tcp, CHECKSUM), "the checksum is TCP's");
        if gso == 0 {
            self.rx.push_back(finish(frame[ETHERNET..].to_vec(), start - ETHERNET));
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
            resize(&mut piece, packet.len(), is_v6);
            self.rx.push_back(finish(piece, tcp));
        }
    }
}

/// The packet with its checksum finished as a card does it: the sum of all that comes from `start` on goes into the
/// field, with what is in the field. A wrong sum in there makes a wrong checksum, and the guest's stack drops the
/// packet.
fn finish(mut packet: Vec<u8>, start: usize) -> Vec<u8> {
    assert!(packet.len() <= MTU, "{} bytes are more than the link takes", packet.len());
    let sum = packet[start..].chunks(2).fold(0, |sum, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        add(sum, word)
    });
    put(&mut packet, start + CHECKSUM, !sum);
    packet
}

/// Makes the lengths in a piece's headers right, and in the sums that hold them: there by the difference, so what was
/// wrong in the headers of the whole is wrong in every piece.
fn resize(piece: &mut [u8], whole: usize, is_v6: bool) {
    let tcp = if is_v6 { 40 } else { 20 };
    let (was, is) = (whole as u16, piece.len() as u16);
    // The same for the packet's length and that of its payload: the two differ by a constant.
    let moved = |sum| add(add(sum, !was), is);
    if is_v6 {
        assert_eq!(word(piece, 4), was - 40, "the length of the whole");
        put(piece, 4, is - 40);
    } else {
        assert_eq!(word(piece, 2), was, "the length of the whole");
        put(piece, 2, is);
        put(piece, 10, !moved(!word(piece, 10)));
    }
    put(piece, tcp + CHECKSUM, moved(word(piece, tcp + CHECKSUM)));
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, word: u16) {
    bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

/// The ones' complement sum (RFC 1071).
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
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
