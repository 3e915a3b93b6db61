//! What is asked of the operating system: reading a stream without taking its bytes, taking them without reading, and how
//! it ended. The only file of this crate with `unsafe` code.

#![allow(unsafe_code, reason = "system calls on guest memory")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use arrayvec::ArrayVec;
use libc::{c_int, c_void};
use netrx::space::Lent;

/// Pieces of memory that one call fills, at most as many as every system allows.
type Pieces = ArrayVec<libc::iovec, 1024>;

/// How the bytes of one read are laid into lent buffers: a run of so many into each frame, behind its headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Bytes left free in front of each frame's run.
    pub(crate) headers: usize,
    /// Bytes of a run.
    pub(crate) run: usize,
    /// Bytes of all runs.
    pub(crate) most: usize,
}

impl Layout {
    /// How many bytes go into frame `index`, if enough are there.
    pub(crate) fn run_of(&self, lent: &Lent<'_, '_>, index: usize) -> usize {
        self.run.min(lent.room(index).saturating_sub(self.headers))
    }
}

/// Copies what is queued into the lent frames; returns how many bytes could have been copied, and how many were.
///
/// The bytes stay queued. No bytes where some could have been mean that the stream has ended.
pub(crate) fn into_guest(
    stream: BorrowedFd<'_>,
    lent: &Lent<'_, '_>,
    layout: Layout,
) -> (usize, io::Result<usize>) {
    let (mut pieces, mut left) = (Pieces::new(), layout.most);
    'all: for index in 0..lent.frames() {
        let (mut skip, mut here) = (layout.headers, layout.run_of(lent, index).min(left));
        for buffer in lent.buffers(index) {
            let start = skip.min(buffer.len());
            let len = here.min(buffer.len() - start);
            skip -= start;
            let piece = libc::iovec { iov_base: buffer.as_ptr().wrapping_add(start).cast(), iov_len: len };
            if len > 0 && pieces.try_push(piece).is_err() {
                break 'all;
            }
            (here, left) = (here - len, left - len);
        }
    }
    (layout.most - left, scatter(stream, &pieces))
}

/// Peeks into pieces that lie in memory which is lent for as long as the caller runs.
fn scatter(stream: BorrowedFd<'_>, pieces: &Pieces) -> io::Result<usize> {
    if let [only] = pieces.as_slice() {
        // The simpler call is the cheaper one.
        return receive(stream, only.iov_base, only.iov_len, libc::MSG_PEEK);
    }
    // SAFETY: all fields are numbers or pointers, which may be zero.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    // The system writes to the pieces, never to the list of them.
    header.msg_iov = pieces.as_ptr().cast_mut();
    header.msg_iovlen = pieces.len() as _;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the list is borrowed; the loan that its pieces lie in vouches for the guest memory that they name.
    let read = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, flags) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Copies what is queued into `bytes`; it stays queued.
pub(crate) fn into_bytes(stream: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    receive(stream, bytes.as_mut_ptr().cast(), bytes.len(), libc::MSG_PEEK)
}

/// Takes `len` queued bytes off the stream; returns how many it took.
#[cfg(peek_offset)]
pub(crate) fn discard(stream: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    // With `MSG_TRUNC` a stream's bytes are dropped, not copied.
    receive(stream, std::ptr::null_mut(), len, libc::MSG_TRUNC)
}

/// The same where they have to be copied somewhere; perhaps fewer.
#[cfg(any(not(peek_offset), test))]
pub(crate) fn read_away(stream: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    let mut scratch = [0_u8; 16 << 10];
    receive(stream, scratch.as_mut_ptr().cast(), len.min(scratch.len()), 0)
}

#[cfg(not(peek_offset))]
pub(crate) use read_away as discard;

/// Receives into `len` bytes at `to`, which must be writable unless `flags` say that nothing is written.
fn receive(stream: BorrowedFd<'_>, to: *mut c_void, len: usize, flags: c_int) -> io::Result<usize> {
    // SAFETY: the callers in this file borrow the bytes, or have nothing written.
    let read = unsafe { libc::recv(stream.as_raw_fd(), to, len, flags | libc::MSG_DONTWAIT) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Whether a socket is one of a stream, as those of TCP are.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> bool {
    let (mut kind, mut len) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: both values are borrowed, and the length is that of the first.
    let told = done(unsafe {
        let (value, len) = ((&raw mut kind).cast(), &raw mut len);
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TYPE, value, len)
    });
    told.is_ok() && kind == libc::SOCK_STREAM
}

/// Leaves urgent bytes where they are in the stream (RFC 6093). Out of it, they would not be peeked at, but count as an
/// offset.
pub(crate) fn keep_urgent(stream: BorrowedFd<'_>) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the value is borrowed, and the length is its own.
    done(unsafe {
        let (value, len) = ((&raw const on).cast(), size_of::<c_int>() as libc::socklen_t);
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_OOBINLINE, value, len)
    })
}

/// Has the next peek begin `offset` bytes behind the first that is queued. Peeking moves that on, discarding moves it
/// back.
///
/// # Errors
/// `Unsupported`, `ENOPROTOOPT` or `EOPNOTSUPP` where there is no such thing: a peek always begins at the first byte
/// then.
#[cfg(peek_offset)]
pub(crate) fn seek(stream: BorrowedFd<'_>, offset: u32) -> io::Result<()> {
    let offset = c_int::try_from(offset).unwrap_or(c_int::MAX);
    // SAFETY: the value is borrowed, and the length is its own.
    done(unsafe {
        let (value, len) = ((&raw const offset).cast(), size_of::<c_int>() as libc::socklen_t);
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEEK_OFF, value, len)
    })
}

#[cfg(not(peek_offset))]
pub(crate) fn seek(_stream: BorrowedFd<'_>, _offset: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the connection of a stream that has ended is closed: it was reset, unless both of its ends were shut before.
///
/// The error that says so is told only once, and perhaps to somebody who wrote into a clone of the stream.
#[cfg(tcp_state)]
pub(crate) fn is_closed(stream: BorrowedFd<'_>) -> bool {
    /// As the system counts a connection's states.
    const CLOSED: u8 = 7;
    let (mut state, mut len) = (0_u8, 1);
    // SAFETY: both values are borrowed. What is told begins with the state, and is cut to the length, which is one byte.
    let told = done(unsafe {
        let (value, len) = ((&raw mut state).cast(), &raw mut len);
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, value, len)
    });
    told.is_ok() && state == CLOSED
}

#[cfg(not(tcp_state))]
pub(crate) fn is_closed(_stream: BorrowedFd<'_>) -> bool {
    false
}

/// A call that answers with nothing but whether it worked.
fn done(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
