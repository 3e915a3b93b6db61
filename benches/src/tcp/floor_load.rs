//! The floor of the second part: the same flows, read into plain memory by a thread that waits for them, and no guest.

#![allow(unsafe_code, reason = "a system call")]

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::CHUNK;
use crate::Result;

/// Reads all flows until `total` bytes have come: from each that is readable in turn, as much as a turn of netrx takes.
pub(super) fn read_all(mut flows: Vec<TcpStream>, total: u64, stuck: Duration) -> Result<()> {
    let watch = |flow: &TcpStream| libc::pollfd { fd: flow.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut watched: Vec<_> = flows.iter().map(watch).collect();
    let mut memory = vec![0; 16 * CHUNK];
    let mut places = (0..16).cycle();
    let mut left = total;
    flows.iter().try_for_each(|flow| flow.set_nonblocking(true))?;
    while left > 0 {
        // SAFETY: the list is borrowed, and the length is its own.
        let ready =
            unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as _, stuck.as_millis() as libc::c_int) };
        match ready {
            ..0 => return Err(io::Error::last_os_error().into()),
            0 => return Err(format!("{left} of {total} bytes are missing").into()),
            _ => {}
        }
        let readable = flows.iter_mut().zip(&watched).filter(|(_, watched)| watched.revents != 0);
        for (flow, _) in readable {
            for place in places.by_ref().take(4) {
                match flow.read(&mut memory[place * CHUNK..][..CHUNK]) {
                    Ok(0) => return Err("a flow ended early".into()),
                    Ok(bytes) => left -= bytes as u64,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(())
}
