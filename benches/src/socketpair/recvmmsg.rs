//! The floor of this bench: plain `recvmmsg` into fixed buffers behind headers that are there already; no
//! ring.

#![allow(unsafe_code, reason = "one system call over addresses in guest memory")]

use super::{Burst, MOST, Reader};
use crate::Result;
use crate::guest::{Driver, HEADER_LEN, plain_header};
use crate::peer::Peer;
use crate::subject::Subject;

struct Recvmmsg {
    driver: Driver,
    next: u16,
    /// One vector per buffer of the ring; the messages point into this, which never moves.
    vectors: Box<[libc::iovec]>,
    messages: Vec<libc::mmsghdr>,
}

/// Always there.
pub(super) fn subject(driver: Driver, longest: usize) -> Result<Option<Reader>> {
    let vector = |head| {
        let at = driver.layout().buffer(head);
        driver.ram().write(at, &plain_header(1));
        let at = driver.ram().host(at + HEADER_LEN as u64, longest);
        libc::iovec { iov_base: at.cast(), iov_len: longest }
    };
    let vectors = (0..driver.layout().shape.heads()).map(vector).collect();
    // SAFETY: a message header is plain data; all zeros is one without buffers, name and control data.
    let messages = vec![unsafe { std::mem::zeroed() }; MOST];
    Ok(Some(Box::new(Recvmmsg { driver, next: 0, vectors, messages })))
}

impl Subject<Burst> for Recvmmsg {
    fn peer(&self) -> Peer {
        Peer::Recvmmsg
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, burst: &Burst) -> u32 {
        for message in &mut self.messages[..burst.count] {
            let buffer = usize::from(self.next) % self.vectors.len();
            message.msg_hdr.msg_iov = &raw mut self.vectors[buffer];
            message.msg_hdr.msg_iovlen = 1;
            self.next = self.next.wrapping_add(1);
        }
        let (messages, count) = (self.messages.as_mut_ptr(), burst.count as libc::c_uint);
        // SAFETY: each message has one vector, over a checked range of guest memory that nobody reads
        // meanwhile.
        unsafe { libc::recvmmsg(burst.socket, messages, count, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        0
    }
}
