//! Reading many frames, each by a call of its own.

#![allow(unsafe_code, reason = "recvmsg into guest memory")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netrx::mem::GuestBuf;
use netrx::space::Lent;

use super::message;
use crate::calls::{Batch, BatchEnd, Message};

/// Reads one frame into each lent list, as [`Calls::receive`](crate::calls::Calls::receive) says.
pub(super) fn receive(socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
    let asked = messages.len().min(lent.frames());
    for (index, message) in messages.iter_mut().take(asked).enumerate() {
        match receive_one(socket, lent.buffers(index)) {
            Ok(received) => *message = received,
            Err(error) if index > 0 && error.kind() == io::ErrorKind::WouldBlock => {
                return Batch { count: index, end: BatchEnd::Short };
            }
            Err(error) => return Batch { count: index, end: BatchEnd::Failed(error) },
        }
    }
    Batch { count: asked, end: BatchEnd::Full }
}

/// Reads one frame into `buffers`, which are part of a loan that lives on.
fn receive_one(socket: BorrowedFd<'_>, buffers: &[GuestBuf]) -> io::Result<Message> {
    let mut header = message::header(buffers);
    // SAFETY: the header's list is borrowed; the loan that it is from vouches for the guest memory that it names.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    Ok(Message { len, cut: header.msg_flags & libc::MSG_TRUNC != 0 })
}
