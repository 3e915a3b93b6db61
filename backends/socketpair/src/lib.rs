//! Frames out of a datagram socket, read straight into the guest's buffers.
//!
//! ```text
//! far end --send--> socket --SocketSource::recv: recvmmsg into lent guest buffers--> guest
//!                     |
//!                     +--SocketSource::wait: epoll or kqueue, together with the waker
//! ```
//!
//! 1. Somebody makes a pair of sockets, one frame a datagram: [`SocketSource::pair`] makes one whose buffers hold the
//!    largest frame; [`SocketSource::new`] takes a datagram or `SOCK_SEQPACKET` socket that exists.
//! 2. The far end sends frames, from this process or another. It needs to know nothing of us.
//! 3. The worker lends guest buffers, and the kernel fills them: up to [64](BATCH) frames a call where the system has
//!    `recvmmsg` (Linux, FreeBSD, NetBSD), one a call elsewhere (macOS, OpenBSD).
//! 4. While the guest has no room the frames stay in the socket, whose own buffer blocks or refuses the sender.
//!
//! # What is a frame
//! One datagram is one frame, and is plain: the socket carries no metadata. One that is longer than the buffers it was
//! read into is dropped and counted as too long; under mergeable buffers that are nearly used up its length is asked
//! for before, so that it is not cut for want of room. File descriptors and credentials that come with a datagram are
//! discarded by the kernel: no room is ever offered for them.
//!
//! # How it ends
//! | what happens | `SOCK_SEQPACKET` | `SOCK_DGRAM` |
//! | --- | --- | --- |
//! | an empty datagram | a runt: dropped and counted | the same |
//! | the far end was closed | closed | Linux tells nobody, the source stays quiet; others reset: closed |
//! | `ECONNRESET` | what is queued is read, then closed | the same |
//! | shut down for reading | closed | what is queued is read, then closed |
//! | `EINTR` | tried again | tried again |
//! | news, as below | tried again; twice on end, a millisecond later | the same |
//! | `ENOBUFS`, `ENOMEM` | tried again a millisecond later | the same |
//! | any other error | fatal, reported | fatal, reported |
//!
//! The end itself may read as an empty datagram: that of `SOCK_SEQPACKET` everywhere, that of `SOCK_DGRAM` not on Linux.
//! It is not counted. Empty datagrams right before it may be taken for it.
//!
//! News is what networks say (by ICMP) of frames that others sent through a connected socket of UDP, and no fault of the
//! socket: `ECONNREFUSED`, `EMSGSIZE`, `ENOPROTOOPT`, `EHOSTDOWN`, `EHOSTUNREACH`, `ENETUNREACH`, `ENETDOWN`, `EPROTO`,
//! `EACCES`, and Linux's `ENONET`.
//!
//! # Platforms
//! Linux waits with epoll and an eventfd, macOS and the BSDs with kqueue. With the feature `libkqueue`, Linux runs the
//! code for kqueue instead, against the library of that name, to test it. On other systems this crate is empty.

#[cfg(supported)]
mod buffers;
#[cfg(supported)]
mod calls;
#[cfg(supported)]
mod error;
#[cfg(supported)]
mod reader;
#[cfg(supported)]
mod source;
#[cfg(supported)]
mod sys;

#[cfg(supported)]
pub use buffers::fit_buffers;
#[cfg(supported)]
pub use calls::BATCH;
#[cfg(supported)]
pub use error::{Buffer, SocketError};
#[cfg(supported)]
pub use source::{DEFAULT_LARGEST, SocketSource};
