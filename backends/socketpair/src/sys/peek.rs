//! Looking at the next frame without taking it, and taking it without looking.

#![allow(unsafe_code, reason = "system calls on a buffer of our own")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The next frame's length, from the system.
#[cfg(target_os = "linux")]
pub(super) fn ask(socket: BorrowedFd<'_>, _largest: usize, _scratch: &mut Vec<u8>) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: a buffer of no bytes is never written to.
    let len = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), 0, flags) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// The next frame's length, found by copying it; `largest + 1` stands for all that are longer.
///
/// What systems tell of a length by other means (`FIONREAD`, `SO_NREAD`) is not the same everywhere: some count all
/// frames that are queued.
#[cfg(any(not(target_os = "linux"), test))]
pub(super) fn copy(socket: BorrowedFd<'_>, largest: usize, scratch: &mut Vec<u8>) -> io::Result<usize> {
    scratch.resize(largest + 1, 0);
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the buffer is borrowed, and as long as is said.
    let len = unsafe { libc::recv(socket.as_raw_fd(), scratch.as_mut_ptr().cast(), scratch.len(), flags) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// Takes the next frame off the socket. If there is none any more, that is as good.
pub(super) fn skip(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = 0_u8;
    loop {
        // SAFETY: the byte is borrowed; the rest of the frame is discarded.
        let read = unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_DONTWAIT) };
        if read >= 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            error => return Err(error),
        }
    }
}
