//! What a socket is, and how large its buffers are.

#![allow(unsafe_code, reason = "socket options, poll, and how much is queued")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_short, socklen_t};

use crate::error::{Buffer, SocketError};

/// A poll's answers that mean that nothing will come any more.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const HUNG_UP: c_short = libc::POLLHUP | libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const HUNG_UP: c_short = libc::POLLHUP;

/// Refuses what is not a socket, or keeps no boundaries.
pub(crate) fn check_kind(socket: BorrowedFd<'_>) -> Result<(), SocketError> {
    match get(socket, libc::SO_TYPE) {
        Ok(libc::SOCK_DGRAM | libc::SOCK_SEQPACKET) => Ok(()),
        Ok(libc::SOCK_STREAM) => Err(SocketError::Stream),
        Ok(other) => Err(SocketError::Type(other)),
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Err(SocketError::NotASocket),
        Err(cause) => Err(SocketError::Io { doing: "read the socket's type", cause }),
    }
}

/// How many bytes a buffer holds.
pub(crate) fn buffer_size(socket: BorrowedFd<'_>, buffer: Buffer) -> io::Result<usize> {
    get(socket, option(buffer)).map(|size| usize::try_from(size).unwrap_or(0))
}

/// Asks for a buffer of `size` bytes. The system may make it smaller or larger.
pub(crate) fn set_buffer_size(socket: BorrowedFd<'_>, buffer: Buffer, size: usize) -> io::Result<()> {
    set(socket, option(buffer), c_int::try_from(size).unwrap_or(c_int::MAX))
}

/// Whether nothing is left and nothing will come, so that a read gives an empty message, without end.
///
/// Empty messages that are still queued do not show; whatever is queued behind them does.
pub(crate) fn reads_as_over(socket: BorrowedFd<'_>) -> bool {
    is_hung_up(socket) && has_empty_end(socket) && queued(socket) == 0
}

/// Whether the end reads as an empty message. Elsewhere than on Linux, that of a datagram socket does too.
fn has_empty_end(socket: BorrowedFd<'_>) -> bool {
    cfg!(not(target_os = "linux"))
        || get(socket, libc::SO_TYPE).is_ok_and(|kind| kind == libc::SOCK_SEQPACKET)
}

/// How many bytes are queued: of all frames, unless it is a datagram socket on Linux.
fn queued(socket: BorrowedFd<'_>) -> c_int {
    let mut bytes: c_int = 0;
    // SAFETY: the number is borrowed.
    let told = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if told == 0 { bytes } else { 0 }
}

/// Whether nothing will come any more, beside what is queued.
fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events: HUNG_UP, revents: 0 };
    // SAFETY: one structure, borrowed; the call does not sleep.
    let answers = unsafe { libc::poll(&raw mut asked, 1, 0) };
    answers > 0 && asked.revents & HUNG_UP != 0
}

const fn option(buffer: Buffer) -> c_int {
    match buffer {
        Buffer::Send => libc::SO_SNDBUF,
        Buffer::Receive => libc::SO_RCVBUF,
    }
}

fn get(socket: BorrowedFd<'_>, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as socklen_t;
    // SAFETY: value and length are borrowed, and the length is the value's.
    let got = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, &raw mut len)
    };
    if got == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

fn set(socket: BorrowedFd<'_>, option: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as socklen_t;
    // SAFETY: the value is borrowed, and the length is its own.
    let set = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
