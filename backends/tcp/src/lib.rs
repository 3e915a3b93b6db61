//! Promoted TCP connections: the host's sockets, read straight into the guest's buffers.
//!
//! ```text
//! guest --segments--> datapath --Connection::segment, received--> TcpSource --frames--> guest
//!                        |                                           ^
//!                        +--payload--> a clone of the stream         |
//!                                      host's socket ---peek in place+
//! ```
//!
//! A VMM's datapath ends the guest's TCP connections and talks to the host's sockets in their place. Most of what it
//! would do for a connection that receives is copying. Once such a connection is established, it may be handed over:
//!
//! 1. [`TcpSource::new`] makes the source, a [`Promoter`], and where ends are told. The source goes to an
//!    `RxWorkerSlot`, the promoter to the datapath.
//! 2. [`Promoter::promote`] takes the socket and where the connection [stands](Promotion), and gives a
//!    [`Connection`]. From here on every frame of it that the guest gets is the source's.
//! 3. The datapath reports each segment of the guest's ([`Connection::segment`]): acknowledgements, windows, FIN,
//!    RST.
//! 4. The guest's payload stays with the datapath. It writes that into a clone of the stream, then says how far it
//!    came ([`Connection::received`]); the source tells the guest, and believes resets and FINs from there on only. After
//!    it has reported the guest's FIN it shuts the clone down for writing. If it cannot write, it drops the
//!    [`Connection`], which resets it.
//! 5. The stream's end becomes a FIN, its failure a reset. When a connection has ended, its socket is closed at once,
//!    and [`Ended`] says how it went.
//!
//! # What the guest gets
//! | it acknowledged | frames | checksums |
//! | --- | --- | --- |
//! | `GUEST_CSUM`, `GUEST_TSO4` or `6` | up to 64 KiB, over merged buffers or big chains | partial (`NEEDS_CSUM`) |
//! | `GUEST_CSUM` | of its MSS, many read by one call | partial |
//! | neither | of its MSS, summed in our memory and copied | complete |
//!
//! Connections take turns of 256 KiB each. The [`machine`] decides what is sent and when it is sent again; it can be
//! had without sockets.
//!
//! # The socket is the retransmission buffer
//! Bytes are peeked at (`MSG_PEEK`) into the guest's buffers and stay in the socket until the guest has acknowledged
//! them; then they are dropped without being copied (`MSG_TRUNC`). So what is sent again is read again, nothing is
//! kept twice, and a guest that does not acknowledge is felt by the host's sender as any slow reader is. Peeking and
//! dropping together cost what receiving does: 54 us a MiB over the loopback either way, in reads of 64 KB, where
//! receiving into a ring of our own and copying from there took 80 to 90.
//!
//! Linux peeks at an offset (`SO_PEEK_OFF`, for TCP since 6.9): the bytes in flight lie before it. Where there is no
//! such thing, on older kernels, macOS and the BSDs, only one read is in flight at a time: right, and slower.
//!
//! Streams are watched by edges, since the bytes in flight are always readable. A connection that is stalled by its
//! guest wakes the source at most once more and is then left alone until its window opens; what happens to its socket
//! meanwhile is noticed then.
//!
//! # What it does not
//! There are no options in its headers: agree on neither timestamps nor selective acknowledgements in the handshake.
//! It keeps no `TIME-WAIT`: a segment that comes after the end gets [`ControlError::Ended`], and the datapath
//! answers. Nor does it end a connection whose guest is silent while nothing is owed to it: a datapath drops those of a
//! guest that has reset its card. Resets and FINs count in all of the receive window, not at the exact number only (RFC 5961):
//! who knows a number within it ends the connection. VLAN tags and ECN are not served; urgent bytes stay in the stream, and
//! are not pointed at.
//!
//! While the guest has no buffers posted, what it says of connections is still heard, and those that end free their
//! sockets; but nothing is read, so the end of a stream waits. What there was no room to send again is not counted as
//! unanswered: a guest that posts nothing for long finds its connections again. That is so as well where the consumer
//! [has the newest frames dropped](netrx::engine::WhenFull::DropNewest): those of connections wait.
//!
//! # Platforms
//! Linux waits with epoll and an eventfd, macOS and the BSDs with kqueue. With the feature `libkqueue`, Linux does as those
//! do, to test it: it waits by the library of that name, and sends a flight at a time. On other systems only the [`machine`]
//! is there.

#[cfg(supported)]
mod flow;
#[cfg(supported)]
mod handle;
#[cfg(supported)]
mod hub;
pub mod machine;
#[cfg(supported)]
mod packet;
#[cfg(supported)]
mod places;
#[cfg(supported)]
mod promotion;
#[cfg(supported)]
mod source;
#[cfg(supported)]
mod stream;
#[cfg(supported)]
mod sync;
#[cfg(supported)]
mod sys;
#[cfg(supported)]
mod timers;

#[cfg(supported)]
pub use handle::{Connection, ConnectionId, ControlError, End, Ended, Promoter};
pub use machine::Segment;
#[cfg(supported)]
pub use promotion::{Endpoint, Promotion, Refusal, Refused};
#[cfg(supported)]
pub use source::TcpSource;
