//! The headers in front of a connection's bytes: Ethernet, IP and TCP, without options.

use std::net::{IpAddr, SocketAddr};

use crate::machine::Seq;

/// Bytes of the longest headers: Ethernet 14, IPv6 40, TCP 20.
pub(crate) const LONGEST: usize = 74;

const ETHERNET: usize = 14;
const TCP: usize = 20;
const TCP_PROTOCOL: u8 = 6;

/// TCP's flags.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 1;
    pub(crate) const RST: u8 = 4;
    pub(crate) const PSH: u8 = 8;
    pub(crate) const ACK: u8 = 16;
}

/// Places in the TCP header.
mod at {
    pub(super) const SEQ: usize = 4;
    pub(super) const ACK: usize = 8;
    pub(super) const OFFSET: usize = 12;
    pub(super) const FLAGS: usize = 13;
    pub(super) const WINDOW: usize = 14;
    pub(super) const CHECKSUM: usize = 16;
}

/// What differs from segment to segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    /// As it stands in the header.
    pub(crate) window: u16,
    pub(crate) flags: u8,
}

/// A segment's headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    bytes: [u8; LONGEST],
    len: usize,
}

/// The headers that all segments of a connection share.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    headers: Headers,
    is_v6: bool,
    /// The sum of the pseudo-header but for its length.
    pseudo: u32,
    /// The sum of the IPv4 header but for its length.
    ipv4: u32,
}

impl Template {
    /// From the remote end to the guest's. `None` if one is IPv4 and the other IPv6.
    pub(crate) fn new(remote: ([u8; 6], SocketAddr), guest: ([u8; 6], SocketAddr)) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        put(&mut bytes, 0, &guest.0);
        put(&mut bytes, 6, &remote.0);
        let (len, pseudo) = match (remote.1.ip(), guest.1.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                put(&mut bytes, 12, &[0x08, 0x00]);
                // Version and length, no fragments, 64 hops.
                put(&mut bytes, ETHERNET, &[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, TCP_PROTOCOL]);
                put(&mut bytes, ETHERNET + 12, &from.octets());
                put(&mut bytes, ETHERNET + 16, &to.octets());
                (ETHERNET + 20 + TCP, sum(&from.octets()) + sum(&to.octets()))
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                put(&mut bytes, 12, &[0x86, 0xdd]);
                put(&mut bytes, ETHERNET, &[0x60, 0, 0, 0, 0, 0, TCP_PROTOCOL, 64]);
                put(&mut bytes, ETHERNET + 8, &from.octets());
                put(&mut bytes, ETHERNET + 24, &to.octets());
                (ETHERNET + 40 + TCP, sum(&from.octets()) + sum(&to.octets()))
            }
            _ => return None,
        };
        let tcp = len - TCP;
        put(&mut bytes, tcp, &remote.1.port().to_be_bytes());
        put(&mut bytes, tcp + 2, &guest.1.port().to_be_bytes());
        put(&mut bytes, tcp + at::OFFSET, &[(TCP as u8 / 4) << 4]);
        let ipv4 = sum(bytes.get(ETHERNET..ETHERNET + 20).unwrap_or_default());
        let pseudo = pseudo + u32::from(TCP_PROTOCOL);
        Some(Self { headers: Headers { bytes, len }, is_v6: remote.1.is_ipv6(), pseudo, ipv4 })
    }

    /// Bytes of the headers.
    pub(crate) fn len(&self) -> usize {
        self.headers.len
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.is_v6
    }

    /// Where the TCP header begins, and where the checksum is from there on, in bytes.
    pub(crate) fn checksum_at(&self) -> (u16, u16) {
        ((self.headers.len - TCP) as u16, at::CHECKSUM as u16)
    }

    /// How many bytes may follow the headers.
    pub(crate) fn most_payload(&self) -> usize {
        usize::from(u16::MAX) - TCP - if self.is_v6 { 0 } else { 20 }
    }

    /// The headers in front of `payload` bytes; the checksum is that of the pseudo-header, to be completed.
    pub(crate) fn partial(&self, fields: &Fields, payload: usize) -> Headers {
        let mut headers = self.headers;
        let tcp = headers.len - TCP;
        let bytes = &mut headers.bytes;
        let length = (TCP + payload) as u32;
        if self.is_v6 {
            put(bytes, ETHERNET + 4, &(length as u16).to_be_bytes());
        } else {
            let total = length + 20;
            put(bytes, ETHERNET + 2, &(total as u16).to_be_bytes());
            put(bytes, ETHERNET + 10, &(!fold(self.ipv4 + total)).to_be_bytes());
        }
        put(bytes, tcp + at::SEQ, &fields.seq.0.to_be_bytes());
        put(bytes, tcp + at::ACK, &fields.ack.0.to_be_bytes());
        put(bytes, tcp + at::FLAGS, &[fields.flags]);
        put(bytes, tcp + at::WINDOW, &fields.window.to_be_bytes());
        put(bytes, tcp + at::CHECKSUM, &fold(self.pseudo + length).to_be_bytes());
        headers
    }

    /// The headers in front of `payload`, with its checksum.
    pub(crate) fn complete(&self, fields: &Fields, payload: &[u8]) -> Headers {
        let mut headers = self.partial(fields, payload.len());
        let tcp = headers.len - TCP;
        // The pseudo-header's sum stands where the checksum goes, so it is in.
        let whole = sum(headers.bytes.get(tcp..headers.len).unwrap_or_default()) + sum(payload);
        put(&mut headers.bytes, tcp + at::CHECKSUM, &(!fold(whole)).to_be_bytes());
        headers
    }
}

impl AsRef<[u8]> for Headers {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn put(bytes: &mut [u8; LONGEST], at: usize, what: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}

/// The ones' complement sum of big-endian words, not folded further than to 16 bits and not complemented (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    // In the machine's byte order, which only swaps the sum's bytes.
    let mut sum: u64 =
        words.map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))).sum();
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    sum += u64::from(u32::from_ne_bytes(last));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u32::from(u16::from_be(sum as u16))
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests;
