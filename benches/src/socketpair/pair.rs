//! A Unix socketpair with whole frames in it.

#![allow(unsafe_code, reason = "the socket calls of the C library")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::Result;
use crate::inject::Frames;

/// The two kinds that keep frames apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Dgram,
    Seqpacket,
}

impl Kind {
    /// Its name in the report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dgram => "dgram",
            Self::Seqpacket => "seqpacket",
        }
    }

    const fn raw(self) -> libc::c_int {
        match self {
            Self::Dgram => libc::SOCK_DGRAM,
            Self::Seqpacket => libc::SOCK_SEQPACKET,
        }
    }
}

/// So many frames wait in this socket.
pub(super) struct Burst {
    pub(super) socket: RawFd,
    pub(super) count: usize,
}

/// A socketpair: the bench sends, a subject receives.
pub(super) struct Pair {
    send: OwnedFd,
    recv: OwnedFd,
}

impl Pair {
    /// A fresh pair, neither end of which blocks.
    pub(super) fn new(kind: Kind) -> Result<Self> {
        let mut ends = [0; 2];
        let flags = kind.raw() | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `ends` has room for the two descriptors.
        if unsafe { libc::socketpair(libc::AF_UNIX, flags, 0, ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: fresh descriptors that nobody else owns.
        let [send, recv] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Self { send, recv })
    }

    /// Sends frames until `most` wait or no more fit.
    pub(super) fn fill(&self, frames: &Frames, most: usize) -> Result<Burst> {
        let mut count = 0;
        while count < most && self.send(frames.at(count))? {
            count += 1;
        }
        Ok(Burst { socket: self.recv.as_raw_fd(), count })
    }

    /// Takes out so many frames.
    pub(super) fn discard(&self, count: usize) -> Result<()> {
        let mut byte = [0; 1];
        for _ in 0..count {
            // SAFETY: `byte` is one byte long; the rest of the frame is cut off.
            let got =
                unsafe { libc::recv(self.recv.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_TRUNC) };
            if got < 0 {
                return Err(io::Error::last_os_error().into());
            }
        }
        Ok(())
    }

    /// Whether the frame still fitted.
    fn send(&self, frame: &[u8]) -> Result<bool> {
        // SAFETY: the bytes are `frame`'s.
        let sent = unsafe { libc::send(self.send.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent >= 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            full if full.kind() == io::ErrorKind::WouldBlock => Ok(false),
            error => Err(error.into()),
        }
    }
}
