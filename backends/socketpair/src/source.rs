//! The source, as a VMM holds it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::task::Waker;
use std::time::Instant;

use netrx::source::{Watch, Watched};
use netrx::{FrameSource, Received, RxSpace, SourceError};

use crate::SocketError;
use crate::buffers;
use crate::error::Buffer;
use crate::reader::Reader;
use crate::sys::System;

/// The largest frame, unless said otherwise: an Ethernet header and 64 KiB, which is what virtio asks of a buffer for
/// unsegmented frames.
pub const DEFAULT_LARGEST: usize = 65_550;

/// A [`FrameSource`] over a datagram socket.
///
/// * **Order**: the socket's.
/// * **Blocking**: only [`wait`](FrameSource::wait) blocks, and does not poll. The socket itself may be blocking or not,
///   and stays as it is.
/// * **Errors**: as the [crate](crate) says; a fatal one names the system's.
/// * **Threads**: if others read from the same socket, each frame goes to one of them.
///
/// It is waited for together with other sources by a descriptor ([`watch`](FrameSource::watch)). The socket itself is ready
/// for reading when there are frames ([`AsFd`]), for those who have an event loop of their own.
///
/// # Example
/// ```no_run
/// use netrx_socketpair::SocketSource;
///
/// let (source, far) = SocketSource::pair(1514)?; // the source is to be offered to an `RxWorkerSlot`
/// far.send(&[0; 60])?;
/// # drop(source);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SocketSource {
    reader: Reader<System>,
}

impl SocketSource {
    /// A source of the frames that arrive at `socket`, which may be up to [`DEFAULT_LARGEST`] bytes long.
    ///
    /// # Errors
    /// When it is no socket, keeps no boundaries, or has a receive buffer that cannot be made to hold the largest frame.
    pub fn new(socket: impl Into<OwnedFd>) -> Result<Self, SocketError> {
        Self::with_largest(socket, DEFAULT_LARGEST)
    }

    /// A source of frames of up to `largest` bytes.
    ///
    /// A guest with mergeable buffers lends as many of them for each frame as the largest may need, so the closer
    /// `largest` is to the truth, the more frames are read by one call: for a link without segmentation offload it is
    /// the MTU and 14 bytes, or 18 with a VLAN tag. A longer frame is not harmed as long as there is room for it.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_largest(socket: impl Into<OwnedFd>, largest: usize) -> Result<Self, SocketError> {
        let reader = Reader::new(socket.into(), System::default(), largest)?;
        buffers::check(reader.socket(), Buffer::Receive, largest)?;
        Ok(Self { reader })
    }

    /// A source, and the far end that feeds it: a pair of datagram sockets with room for many frames of `largest` bytes.
    ///
    /// The far end blocks while the pair is full; make it nonblocking to be refused instead.
    ///
    /// # Errors
    /// When the system has no sockets to spare, or does not allow buffers for the largest frame.
    pub fn pair(largest: usize) -> Result<(Self, UnixDatagram), SocketError> {
        let (near, far) = UnixDatagram::pair().map_err(SocketError::io("make a pair of sockets"))?;
        buffers::fit_buffers(&near, largest)?;
        buffers::fit_buffers(&far, largest)?;
        Ok((Self::with_largest(near, largest)?, far))
    }

    /// The socket, with all the frames that were not read.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.reader.into_socket()
    }
}

impl AsFd for SocketSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.socket()
    }
}

impl FrameSource for SocketSource {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.reader.recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.reader.wait(until)
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        self.reader.watch(watch);
        Watched::Yes
    }

    fn waker(&self) -> Waker {
        self.reader.waker()
    }
}
