//! Message headers over guest buffers.

#![allow(unsafe_code, reason = "a C structure with private padding")]

use std::mem::{MaybeUninit, align_of, size_of};

use netrx::mem::GuestBuf;

// The rest of the layout is `GuestBuf`'s own promise.
const _: () = assert!(size_of::<GuestBuf>() == size_of::<libc::iovec>());
const _: () = assert!(align_of::<GuestBuf>() == align_of::<libc::iovec>());

/// A header that has one message scattered over `buffers`.
///
/// It has no room for ancillary data, so the kernel discards whatever comes along: a far end cannot leave us with file
/// descriptors of its choice. Nor has it room for the sender's address.
pub(super) fn header(buffers: &[GuestBuf]) -> libc::msghdr {
    // SAFETY: all fields are numbers or pointers, which may be zero.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    // The system writes to the buffers, never to the list of them.
    header.msg_iov = buffers.as_ptr().cast_mut().cast();
    header.msg_iovlen = buffers.len() as _;
    header
}
