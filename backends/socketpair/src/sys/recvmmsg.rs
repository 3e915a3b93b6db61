//! Reading many frames by one call.

#![allow(unsafe_code, reason = "recvmmsg into guest memory")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use netrx::space::Lent;

use super::message;
use crate::calls::{BATCH, Batch, BatchEnd, Message};

/// Reads one frame into each lent list, as [`Calls::receive`](crate::calls::Calls::receive) says.
///
/// An error behind the first frame is kept by the system for the next call.
pub(super) fn receive(socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let asked = messages.len().min(lent.frames()).min(BATCH);
    for (index, header) in headers.iter_mut().take(asked).enumerate() {
        header.write(libc::mmsghdr { msg_hdr: message::header(lent.buffers(index)), msg_len: 0 });
    }
    // SAFETY: the first `asked` headers are written; their lists are borrowed from `lent`, which vouches for the guest
    // memory that they name for as long as it lives.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            asked as _,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let Ok(count) = usize::try_from(received) else {
        return Batch { count: 0, end: BatchEnd::Failed(io::Error::last_os_error()) };
    };
    for (message, header) in messages.iter_mut().zip(&headers).take(count.min(asked)) {
        // SAFETY: it is one of the first `asked`, which were written.
        let header = unsafe { header.assume_init_ref() };
        let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        *message = Message { len: header.msg_len as usize, cut };
    }
    Batch { count, end: if count < asked { BatchEnd::Short } else { BatchEnd::Full } }
}
