//! A datapath of the smallest kind: ends the guest's connections, hands them over once they are established, and
//! writes what the guest sends into the host's sockets.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use netrx_tcp::{Connection, ConnectionId, Endpoint, Promoter, Promotion, Segment};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::card::{GATEWAY_MAC, GUEST_MAC};

/// The first number to the guest: numbers wrap early on.
const FIRST: u32 = u32::MAX - 5000;
pub(crate) const RECEIVE_WINDOW: u32 = 64 << 10;

/// Connections by the guest's port.
pub(crate) struct Datapath {
    promoter: Promoter,
    /// What the guest reaches when it connects from this port.
    streams: HashMap<u16, TcpStream>,
    hellos: HashMap<u16, Hello>,
    pub(crate) flows: HashMap<u16, Flow>,
    /// Segments that nobody took.
    pub(crate) refused: usize,
    /// Times that a guest's window shut.
    pub(crate) shut: u64,
}

/// What the guest said in the first segment of a connection.
struct Hello {
    mss: u16,
    scale: u8,
}

pub(crate) struct Flow {
    pub(crate) connection: Connection,
    /// Until the connection ends.
    upstream: Option<TcpStream>,
    expected: u32,
    is_shut: bool,
    /// Payload of the guest's that was passed on.
    pub(crate) passed_on: u64,
}

impl Datapath {
    pub(crate) fn new(promoter: Promoter) -> Self {
        Self {
            promoter,
            streams: HashMap::new(),
            hellos: HashMap::new(),
            flows: HashMap::new(),
            refused: 0,
            shut: 0,
        }
    }

    /// What the guest reaches from `port`.
    pub(crate) fn offer(&mut self, port: u16, stream: TcpStream) {
        self.streams.insert(port, stream);
    }

    /// Takes a packet of the guest's; gives one that answers it at once.
    pub(crate) fn take(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (from, to, bytes) = addresses(packet);
        let tcp = TcpPacket::new_checked(bytes).expect("a segment");
        let tcp = TcpRepr::parse(&tcp, &from, &to, &ChecksumCapabilities::default()).expect("a good one");
        match self.flows.get_mut(&tcp.src_port) {
            Some(flow) => {
                self.shut += u64::from(flow.shuts(&tcp));
                if !flow.take(&tcp) {
                    self.refused += 1;
                    return (tcp.control != TcpControl::Rst).then(|| reset(from, to, &tcp));
                }
            }
            None if tcp.control == TcpControl::Syn => return Some(self.accept(from, to, &tcp)),
            None if tcp.control == TcpControl::Rst => self.refused += 1,
            None => self.promote(from, to, &tcp),
        }
        None
    }

    /// A connection has ended: drops the clone of its stream. What the guest still says of it is refused. Its port.
    pub(crate) fn hang_up(&mut self, id: ConnectionId) -> u16 {
        let (port, flow) =
            self.flows.iter_mut().find(|(_, flow)| flow.connection.id() == id).expect("it is one of ours");
        flow.upstream = None;
        *port
    }

    /// Takes note of the guest's first segment; the answer to it.
    fn accept(&mut self, from: IpAddress, to: IpAddress, syn: &TcpRepr<'_>) -> Vec<u8> {
        let hello = Hello { mss: syn.max_seg_size.expect("it says"), scale: syn.window_scale.unwrap_or(0) };
        self.hellos.insert(syn.src_port, hello);
        let answer = TcpRepr {
            src_port: syn.dst_port,
            dst_port: syn.src_port,
            control: TcpControl::Syn,
            seq_number: TcpSeqNumber(FIRST.cast_signed()),
            ack_number: Some(syn.seq_number + 1),
            window_len: (RECEIVE_WINDOW - 1) as u16,
            window_scale: syn.window_scale.map(|_| 1),
            max_seg_size: syn.max_seg_size,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        emit(from, to, &answer)
    }

    /// The guest's third segment: the connection is established.
    fn promote(&mut self, from: IpAddress, to: IpAddress, tcp: &TcpRepr<'_>) {
        let Some(stream) = self.streams.remove(&tcp.src_port) else { return };
        let Hello { mss, scale } = self.hellos.remove(&tcp.src_port).expect("it said hello");
        let upstream = Some(stream.try_clone().expect("a clone"));
        let expected = tcp.seq_number.0.cast_unsigned();
        let promotion = Promotion {
            stream,
            remote: Endpoint { mac: GATEWAY_MAC, addr: SocketAddr::new(ip(to), tcp.dst_port) },
            guest: Endpoint { mac: GUEST_MAC, addr: SocketAddr::new(ip(from), tcp.src_port) },
            next: FIRST.wrapping_add(1),
            window: u32::from(tcp.window_len) << scale,
            scale,
            mss,
            expected,
            receive_window: RECEIVE_WINDOW,
            receive_scale: 1,
        };
        let connection = self.promoter.promote(promotion).expect("it is taken over");
        let flow = Flow { connection, upstream, expected, is_shut: false, passed_on: 0 };
        self.flows.insert(tcp.src_port, flow);
    }
}

/// The answer to a segment of a connection that has ended.
fn reset(from: IpAddress, to: IpAddress, tcp: &TcpRepr<'_>) -> Vec<u8> {
    let answer = TcpRepr {
        src_port: tcp.dst_port,
        dst_port: tcp.src_port,
        control: TcpControl::Rst,
        seq_number: tcp.ack_number.unwrap_or_default(),
        ack_number: None,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    emit(from, to, &answer)
}

/// A packet back to where one came from.
fn emit(from: IpAddress, to: IpAddress, answer: &TcpRepr<'_>) -> Vec<u8> {
    let ip = IpRepr::new(to, from, IpProtocol::Tcp, answer.buffer_len(), 64);
    let mut packet = vec![0; ip.buffer_len()];
    let caps = ChecksumCapabilities::default();
    ip.emit(&mut packet[..], &caps);
    let headers = ip.header_len();
    answer.emit(&mut TcpPacket::new_unchecked(&mut packet[headers..]), &to, &from, &caps);
    packet
}

impl Flow {
    /// Whether the window shuts by this segment.
    fn shuts(&mut self, tcp: &TcpRepr<'_>) -> bool {
        let shut = tcp.window_len == 0 && tcp.control != TcpControl::Rst;
        let was_shut = std::mem::replace(&mut self.is_shut, shut);
        shut && !was_shut
    }

    /// Reports a segment, and passes on what it carries; whether the connection still took it.
    fn take(&mut self, tcp: &TcpRepr<'_>) -> bool {
        let seq = tcp.seq_number.0.cast_unsigned();
        let fin = tcp.control == TcpControl::Fin;
        let segment = Segment {
            seq,
            ack: tcp.ack_number.map_or(0, |ack| ack.0.cast_unsigned()),
            window: tcp.window_len,
            payload: tcp.payload.len() as u32,
            fin,
            rst: tcp.control == TcpControl::Rst,
        };
        let taken = self.connection.segment(&segment).is_ok();
        if tcp.payload.is_empty() && !fin {
            return taken;
        }
        if seq == self.expected {
            // It fails when the host is gone; then the source notices as well.
            let _ = self.upstream.as_mut().map(|upstream| upstream.write_all(tcp.payload));
            self.passed_on += tcp.payload.len() as u64;
            self.expected = self.expected.wrapping_add(segment.payload + u32::from(fin));
            if fin {
                let _ = self.upstream.as_ref().map(|upstream| upstream.shutdown(Shutdown::Write));
            }
        }
        taken && self.connection.received(self.expected, RECEIVE_WINDOW).is_ok()
    }
}

/// The port that a packet of the guest's comes from.
pub(crate) fn port(packet: &[u8]) -> u16 {
    let (_, _, tcp) = addresses(packet);
    u16::from_be_bytes([tcp[0], tcp[1]])
}

/// Source, destination and payload of a packet.
fn addresses(packet: &[u8]) -> (IpAddress, IpAddress, &[u8]) {
    if packet[0] >> 4 == 4 {
        let ip = Ipv4Packet::new_checked(packet).expect("a packet");
        (ip.src_addr().into(), ip.dst_addr().into(), &packet[usize::from(ip.header_len())..])
    } else {
        let ip = Ipv6Packet::new_checked(packet).expect("a packet");
        (ip.src_addr().into(), ip.dst_addr().into(), &packet[40..])
    }
}

fn ip(address: IpAddress) -> IpAddr {
    address.into()
}
