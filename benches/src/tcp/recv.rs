//! What there is to measure against: `recv` into memory, `recvmsg` into pieces of it, and `recv` into a buffer that
//! is then copied.

#![allow(unsafe_code, reason = "reads into the bench's guest memory")]

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{Buffers, CHUNK, FRAMES, Flows, Puller};
use crate::Result;
use crate::guest::Driver;
use crate::peer::Peer;

struct Recv {
    peer: Peer,
    driver: Driver,
    flows: Flows,
    buffers: Buffers,
    /// A bounded retransmission buffer, if there is one, and where it is written to next.
    ring: Option<Vec<u8>>,
    at: usize,
    /// The frame's place among the guest's buffers.
    slot: usize,
}

/// Straight into the guest's buffers.
pub(super) fn floor(driver: Driver, flows: Flows, buffers: Buffers) -> Result<Box<dyn Puller>> {
    Ok(Box::new(Recv { peer: Peer::Floor, driver, flows, buffers, ring: None, at: 0, slot: 0 }))
}

/// Into pieces as long as the guest's buffers, behind room for headers.
pub(super) fn scattered(driver: Driver, flows: Flows, buffers: Buffers) -> Result<Box<dyn Puller>> {
    Ok(Box::new(Recv { peer: Peer::Recvmsg, driver, flows, buffers, ring: None, at: 0, slot: 0 }))
}

/// By way of a buffer of 1 MiB, in which a copy stays.
pub(super) fn then_copy(driver: Driver, flows: Flows, buffers: Buffers) -> Result<Box<dyn Puller>> {
    let ring = Some(vec![0; 16 * CHUNK]);
    Ok(Box::new(Recv { peer: Peer::ReadThenCopy, driver, flows, buffers, ring, at: 0, slot: 0 }))
}

impl Puller for Recv {
    fn peer(&self) -> Peer {
        self.peer
    }

    fn pass(&mut self) -> Result<Duration> {
        self.flows.fill()?;
        let start = Instant::now();
        for frame in 0..FRAMES {
            let flow = frame % self.flows.near.len();
            self.read(flow)?;
        }
        Ok(start.elapsed())
    }
}

impl Recv {
    fn read(&mut self, flow: usize) -> Result<()> {
        let buffer = self.driver.layout().buffer((self.slot * self.buffers.span) as u16);
        let guest = self.driver.ram().host(buffer, CHUNK);
        self.slot = (self.slot + 1) % (usize::from(self.buffers.shape.size) / self.buffers.span);
        let fd = self.flows.near[flow].as_raw_fd();
        if self.peer == Peer::Recvmsg {
            return scatter(fd, guest, self.buffers);
        }
        let Some(ring) = &mut self.ring else { return receive(fd, guest) };
        let kept = &mut ring[self.at..self.at + CHUNK];
        self.at = (self.at + CHUNK) % (16 * CHUNK);
        receive(fd, kept.as_mut_ptr())?;
        // SAFETY: both are as long, and one is the guest's.
        unsafe { std::ptr::copy_nonoverlapping(kept.as_ptr(), guest, CHUNK) };
        Ok(())
    }
}

/// Headers in front of a frame's bytes: virtio, Ethernet, IPv4, TCP.
const HEADERS: usize = 66;

/// Receives a chunk into the buffers from `to` on, which the caller has checked to hold it.
fn scatter(fd: libc::c_int, to: *mut u8, buffers: Buffers) -> Result<()> {
    let piece = buffers.shape.piece as usize;
    let mut pieces = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 16];
    let (mut at, mut left, mut count) = (HEADERS, CHUNK, 0);
    for place in &mut pieces {
        let len = left.min(piece - at % piece);
        *place = libc::iovec { iov_base: to.wrapping_add(at).cast(), iov_len: len };
        (at, left, count) = (at + len, left - len, count + usize::from(len > 0));
    }
    // SAFETY: all fields are numbers or pointers, which may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (pieces.as_mut_ptr(), count);
    // SAFETY: the pieces lie in guest memory that nobody reads meanwhile.
    let read = unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_DONTWAIT) };
    whole(read)
}

/// Receives a chunk at `to`, which the caller has checked to be as long.
fn receive(fd: libc::c_int, to: *mut u8) -> Result<()> {
    // SAFETY: the callers' promise.
    let read = unsafe { libc::recv(fd, to.cast(), CHUNK, libc::MSG_DONTWAIT) };
    whole(read)
}

/// Whether a chunk was read.
fn whole(read: isize) -> Result<()> {
    match usize::try_from(read) {
        Ok(CHUNK) => Ok(()),
        Ok(less) => Err(format!("{less} of {CHUNK} bytes came").into()),
        Err(_) => Err(io::Error::last_os_error().into()),
    }
}
