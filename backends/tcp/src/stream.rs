//! A connection's socket, as a store of the bytes that the guest may still need.
//!
//! ```text
//!      base                 needed             at
//! socket |---- discarded next --|-- in flight ----|---- not peeked at ----|
//! ```

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use crate::machine::Seq;
use crate::sys;

/// Bytes that are acknowledged are taken off the socket when there are so many, or when nothing is in flight: a
/// system call for each acknowledgement would be one too many.
const DISCARD: u32 = 64 << 10;

/// Where a peek may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeekFrom {
    /// Anywhere, if the system can do that.
    Anywhere,
    /// At the first byte that is queued, as every system can.
    #[cfg(test)]
    TheFirst,
}

/// A socket from which bytes are only taken once they are acknowledged.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    /// The number of the first byte that is queued.
    base: Seq,
    /// The number of the byte at which the next peek begins.
    at: Seq,
    /// A peek may begin elsewhere than at the first byte.
    offsets: bool,
    /// Reads may come short though more is queued: only one that would block says that nothing is left.
    pub(crate) reads_short: bool,
    /// The system was told to leave it alone.
    pub(crate) hushed: bool,
}

impl Stream {
    /// The socket's first byte has the number `base`.
    pub(crate) fn new(socket: TcpStream, base: Seq, from: PeekFrom) -> Self {
        // Whatever the reason why it cannot: peeking from the first byte always works.
        let kept = sys::keep_urgent(socket.as_fd()).is_ok();
        let offsets = from == PeekFrom::Anywhere && kept && sys::seek(socket.as_fd(), 0).is_ok();
        Self { socket, base, at: base, offsets, reads_short: false, hushed: false }
    }

    /// Whether nothing new can be peeked at while anything is in flight.
    pub(crate) fn is_one_flight(&self) -> bool {
        !self.offsets
    }

    /// Has the next peek begin at byte `seq`.
    pub(crate) fn seek(&mut self, seq: Seq) -> io::Result<()> {
        if self.at != seq {
            sys::seek(self.socket.as_fd(), seq.since(self.base))?;
            self.at = seq;
        }
        Ok(())
    }

    /// So many bytes were peeked at, and the next peek begins behind them.
    pub(crate) fn peeked(&mut self, len: usize) {
        if self.offsets {
            self.at = self.at + len as u32;
        }
    }

    /// The guest needs nothing before byte `needed`; takes that off the socket.
    pub(crate) fn discard(&mut self, needed: Seq, in_flight: bool) -> io::Result<()> {
        let mut left = needed.since(self.base);
        if self.offsets && in_flight && left < DISCARD {
            return Ok(());
        }
        while left > 0 {
            match sys::discard(self.socket.as_fd(), left as usize) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    self.base = self.base + len as u32;
                    left -= len as u32;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.offsets {
            self.at = self.base;
        }
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
