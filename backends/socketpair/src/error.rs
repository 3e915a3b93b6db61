//! Why a socket is no source.

use std::fmt;
use std::io;

/// Why a socket cannot be a frame source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The descriptor is that of something else.
    #[error("the descriptor is not a socket")]
    NotASocket,
    /// A stream has no boundaries between frames.
    #[error("a stream socket does not keep frames apart: make it SOCK_DGRAM or SOCK_SEQPACKET")]
    Stream,
    /// The socket is of another type that is not served.
    #[error("a socket of type {0} is not served: make it SOCK_DGRAM or SOCK_SEQPACKET")]
    Type(i32),
    /// The largest frame would never get through.
    #[error(
        "the socket's {buffer} buffer of {have} bytes cannot be made to hold a frame of {largest}: raise the system's \
         limit, or use smaller frames"
    )]
    BufferTooSmall {
        /// Which of its buffers.
        buffer: Buffer,
        /// How many bytes it holds, however much was asked for.
        have: usize,
        /// The largest frame there may be.
        largest: usize,
    },
    /// The operating system refused.
    #[error("cannot {doing}: {cause}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl SocketError {
    /// For `map_err`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, cause }
    }
}

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Of frames that were sent (`SO_SNDBUF`).
    Send,
    /// Of frames to be received (`SO_RCVBUF`).
    Receive,
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Receive => "receive",
        })
    }
}
