//! The system calls that read frames, as the reader sees them: tests put faults in between.

use std::io;
use std::os::fd::BorrowedFd;

use netrx::space::Lent;

/// Frames read by one call, at most.
pub const BATCH: usize = 64;

/// Reads frames from a socket. No call blocks.
pub(crate) trait Calls: Send {
    /// Reads one frame into each of the lent lists, in their order, up to as many as `messages` has places.
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch;

    /// The next frame's length; the frame stays. One longer than `largest` may be given as `largest + 1`.
    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize>;

    /// Takes the next frame off the socket unseen.
    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()>;
}

/// A frame that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Bytes in the lent buffers.
    pub(crate) len: usize,
    /// It had more bytes than there was room for.
    pub(crate) cut: bool,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Frames read.
    pub(crate) count: usize,
    pub(crate) end: BatchEnd,
}

/// Why a call read no further.
#[derive(Debug)]
pub(crate) enum BatchEnd {
    /// All places are taken.
    Full,
    /// There were fewer frames than places; perhaps an error is due at the next call.
    Short,
    /// The system said so.
    Failed(io::Error),
}
