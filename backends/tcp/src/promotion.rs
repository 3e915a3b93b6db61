//! What a datapath says of a connection that it hands over, and why that may be refused.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;

use crate::machine::{Seq, View};
use crate::packet::Template;
use crate::places::Ends;
use crate::sys;

/// One end of a connection, as the guest's frames show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its Ethernet address, which is a single card's.
    pub mac: [u8; 6],
    /// Its IP address and port.
    pub addr: SocketAddr,
}

/// An established connection, to be handed over.
///
/// All that was sent to the guest before must be acknowledged. The handshake with the guest must not have agreed on
/// timestamps or selective acknowledgements, as headers are made without options.
#[derive(Debug)]
pub struct Promotion {
    /// The host's socket. From here on nobody else reads from it; the datapath writes the guest's data into a
    /// [clone](TcpStream::try_clone).
    pub stream: TcpStream,
    /// The end that the guest talks to.
    pub remote: Endpoint,
    /// The guest's end, in the same address family. As the other, it has a unicast address and a port that is not 0.
    pub guest: Endpoint,
    /// Sequence number of the next byte to the guest.
    pub next: u32,
    /// How many bytes from there on the guest takes (its window, scaled): at most what a header can say with `scale`,
    /// `u16::MAX << scale`.
    pub window: u32,
    /// By how many bits the guest's windows are shifted, 0 to 14 (RFC 7323): 0 if it has not agreed to that.
    pub scale: u8,
    /// Payload bytes of the largest segment that the guest takes, at least [`LEAST_MSS`](Self::LEAST_MSS).
    pub mss: u16,
    /// Sequence number of the next byte expected from the guest.
    pub expected: u32,
    /// How many bytes from there on the guest may send, as it was told: its resets and FIN count within that only.
    pub receive_window: u32,
    /// By how many bits the windows told to the guest are shifted, 0 to 14.
    pub receive_scale: u8,
}

impl Promotion {
    /// The smallest MSS: below that a connection is nearly all headers.
    pub const LEAST_MSS: u16 = 48;
    const MOST_SCALE: u8 = 14;

    /// The headers of its frames, if it makes sense.
    pub(crate) fn template(&self) -> Result<Template, Refusal> {
        let ends = ((self.remote.mac, self.remote.addr), (self.guest.mac, self.guest.addr));
        let template = Template::new(ends.0, ends.1).ok_or(Refusal::Families)?;
        self.check_addresses()?;
        let scale = self.scale.max(self.receive_scale);
        if self.mss < Self::LEAST_MSS {
            return Err(Refusal::Mss(self.mss));
        }
        if scale > Self::MOST_SCALE {
            return Err(Refusal::Scale(scale));
        }
        let most = u32::from(u16::MAX) << self.scale;
        if self.window > most {
            return Err(Refusal::Window { window: self.window, most });
        }
        if !sys::is_stream(self.stream.as_fd()) {
            return Err(Refusal::NotAStream);
        }
        Ok(template)
    }

    /// What the guest knows it by.
    pub(crate) fn guests_ends(&self) -> Ends {
        Ends::new([self.guest.addr, self.remote.addr])
    }

    /// What the host knows it by, however often its socket was duplicated.
    pub(crate) fn hosts_ends(&self) -> Result<Ends, Refusal> {
        let ends = self.stream.local_addr().and_then(|local| Ok([local, self.stream.peer_addr()?]));
        ends.map(Ends::new).map_err(Refusal::NotConnected)
    }

    /// Whether they are two, and each may be an end of a connection.
    fn check_addresses(&self) -> Result<(), Refusal> {
        let (remote, guest) = (self.remote.addr, self.guest.addr);
        if let Some(end) = [remote, guest].into_iter().find(|end| !is_an_end(end)) {
            return Err(Refusal::NoEnd(end));
        }
        if let Some(mac) = [self.remote.mac, self.guest.mac].into_iter().find(|mac| !is_a_card(mac)) {
            return Err(Refusal::NoCard(mac));
        }
        if (remote.ip(), remote.port()) == (guest.ip(), guest.port()) {
            return Err(Refusal::SameEnd(guest));
        }
        Ok(())
    }

    pub(crate) fn view(&self) -> View {
        View::new(Seq(self.next), self.window, self.scale, Seq(self.expected), self.receive_window)
    }
}

/// Whether segments can go there and come from there.
fn is_an_end(addr: &SocketAddr) -> bool {
    let ip = addr.ip();
    let everyone = ip == Ipv4Addr::BROADCAST;
    addr.port() != 0 && !everyone && !ip.is_multicast() && !ip.is_unspecified()
}

/// Whether frames can be for it alone, and come from there.
fn is_a_card(mac: &[u8; 6]) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}

/// A connection that was not taken over; it is given back, stream and all.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not taken over: {reason}")]
pub struct Refused {
    /// Why.
    #[source]
    pub reason: Refusal,
    /// What was handed over.
    pub promotion: Box<Promotion>,
}

/// Why a connection is not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its ends are of different address families.
    #[error("one end is IPv4 and the other IPv6: translate the addresses first")]
    Families,
    /// An address or port is none that a connection has.
    #[error("{0} is no end of a connection: that has a unicast address, and a port that is not 0")]
    NoEnd(SocketAddr),
    /// An Ethernet address is one of a group, or none.
    #[error("{0:02x?} is the address of no card: it must be unicast, and not all zeros")]
    NoCard([u8; 6]),
    /// Both ends have the same address and port.
    #[error("both ends are {0}: a connection of the guest's with itself is none of its host's")]
    SameEnd(SocketAddr),
    /// The MSS is too small.
    #[error("an MSS of {0} is below {least}: keep the connection out of the fast path", least = Promotion::LEAST_MSS)]
    Mss(u16),
    /// A window is shifted by more than RFC 7323 allows.
    #[error("a window shifted by {0} bits: RFC 7323 allows 14, take a larger shift as that")]
    Scale(u8),
    /// The guest's window is larger than a header of the guest's can say.
    #[error("a window of {window} bytes: with the guest's shift its headers say {most} at most")]
    Window {
        /// What was handed over.
        window: u32,
        /// The most that it may be.
        most: u32,
    },
    /// The descriptor is of another kind of socket, or of none.
    #[error("the descriptor is none of a TCP socket")]
    NotAStream,
    /// Another connection of the source's has the same ends, as its guest sees them or as its host does, or its end was not
    /// taken note of yet. Sockets of two network namespaces may look like one.
    #[error(
        "there is a connection between these ends, or of this socket, already: let that end, and take its end"
    )]
    Taken,
    /// The socket has no peer.
    #[error("the socket is not connected: {0}")]
    NotConnected(#[source] io::Error),
    /// There are as many connections as the source was made for.
    #[error(
        "all {0} places for connections are taken: take the ends of ended ones, or make the source for more"
    )]
    Full(usize),
    /// The source was dropped.
    #[error("the source is gone")]
    Gone,
}
