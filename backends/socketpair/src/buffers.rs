//! Socket buffers that the largest frame fits into.
//!
//! A datagram that is larger than a buffer on its way is refused (`EMSGSIZE`) or lost, and the defaults of some systems
//! hold no more than 2 KiB. It is the **sending** end's send buffer and the **receiving** end's receive buffer that
//! count; each end can set only its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::{Buffer, SocketError};
use crate::sys::options;

/// What the system adds to a frame in its buffer: the sender's address, and what Linux keeps for itself.
const OVERHEAD: usize = 256;
/// Room that is asked for, so that the sender need not stop for each frame: this many of the largest...
const FRAMES: usize = 32;
/// ...or this many bytes, for small ones, which the system may account at ten times their length.
const BYTES: usize = 1 << 20;

/// Sizes both buffers of a socket for frames of `largest` bytes. The far end of a [`SocketSource`](crate::SocketSource)
/// that was not made by [`pair`](crate::SocketSource::pair) had better be given this.
///
/// They grow to hold many frames if the system allows that, and never shrink.
///
/// # Errors
/// When one of them cannot be made to hold a single such frame.
pub fn fit_buffers(socket: impl AsFd, largest: usize) -> Result<(), SocketError> {
    fit(socket.as_fd(), Buffer::Send, largest)?;
    fit(socket.as_fd(), Buffer::Receive, largest)
}

/// Grows one buffer to hold many frames, or at least one.
pub(crate) fn fit(socket: BorrowedFd<'_>, buffer: Buffer, largest: usize) -> Result<(), SocketError> {
    let need = largest.saturating_add(OVERHEAD);
    let wanted = BYTES.max(need.saturating_mul(FRAMES));
    let size =
        || options::buffer_size(socket, buffer).map_err(SocketError::io("read a socket buffer's size"));
    if size()? < wanted {
        grow(need, wanted, |size| options::set_buffer_size(socket, buffer, size));
    }
    match size()? {
        have if have < need => Err(SocketError::BufferTooSmall { buffer, have, largest }),
        _ => Ok(()),
    }
}

/// Makes sure that a buffer holds one frame, and leaves it alone if it does.
pub(crate) fn check(socket: BorrowedFd<'_>, buffer: Buffer, largest: usize) -> Result<(), SocketError> {
    let have =
        options::buffer_size(socket, buffer).map_err(SocketError::io("read a socket buffer's size"))?;
    if have < largest.saturating_add(OVERHEAD) { fit(socket, buffer, largest) } else { Ok(()) }
}

/// Sets the largest size between `wanted` and `need` that the system does not refuse.
///
/// Some systems clip a size that is too large, others refuse it; what it came to is read back by the caller.
fn grow(need: usize, wanted: usize, mut set: impl FnMut(usize) -> io::Result<()>) {
    let mut size = wanted;
    while set(size).is_err() && size > need {
        size = need.max(size / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes_tried(need: usize, wanted: usize, limit: usize) -> Vec<usize> {
        let mut tried = Vec::new();
        grow(need, wanted, |size| {
            tried.push(size);
            if size > limit { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
        });
        tried
    }

    #[test]
    fn the_largest_size_that_is_allowed_is_taken() {
        assert_eq!(sizes_tried(100, 1000, 5000), [1000]);
        assert_eq!(sizes_tried(100, 1000, 300), [1000, 500, 250]);
        assert_eq!(sizes_tried(100, 1000, 110), [1000, 500, 250, 125, 100]);
    }

    #[test]
    fn it_gives_up_after_the_least() {
        assert_eq!(sizes_tried(100, 300, 99), [300, 150, 100]);
    }
}
