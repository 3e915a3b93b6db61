//! Connections over the loopback with bytes in them.

#![allow(unsafe_code, reason = "socket options and counts of the C library")]

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{CHUNK, FRAMES};
use crate::Result;

/// Room for what a pass puts into one socket, several times over.
const BUFFER: libc::c_int = 4 << 20;

/// The near ends, to be read, and the far ends that write into them.
pub(super) struct Flows {
    pub(super) near: Vec<TcpStream>,
    far: Vec<TcpStream>,
    bytes: Vec<u8>,
}

impl Flows {
    pub(super) fn new(count: usize) -> Result<Self> {
        let mut flows = Self { near: Vec::new(), far: Vec::new(), bytes: vec![0x5a; FRAMES * CHUNK / count] };
        for _ in 0..count {
            let (near, far) = pair()?;
            flows.near.push(near);
            flows.far.push(far);
        }
        Ok(flows)
    }

    /// Puts a pass's bytes into the sockets, and waits until they have arrived.
    pub(super) fn fill(&mut self) -> Result<()> {
        for (near, far) in self.near.iter().zip(&mut self.far) {
            far.write_all(&self.bytes)?;
            let begin = Instant::now();
            while queued(near)? < self.bytes.len() {
                if begin.elapsed() > Duration::from_secs(5) {
                    return Err(format!("only {} bytes arrive", queued(near)?).into());
                }
            }
        }
        Ok(())
    }
}

/// A connection with large buffers.
pub(super) fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    set(&listener, libc::SO_RCVBUF)?;
    let far = TcpStream::connect(listener.local_addr()?)?;
    set(&far, libc::SO_SNDBUF)?;
    far.set_nodelay(true)?;
    Ok((listener.accept()?.0, far))
}

fn set(socket: &impl AsRawFd, option: libc::c_int) -> Result<()> {
    let (value, len) = ((&raw const BUFFER_VALUE).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the value is a constant, and the length is its own.
    let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

static BUFFER_VALUE: libc::c_int = BUFFER;

/// Bytes that wait.
fn queued(socket: &TcpStream) -> Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the count is borrowed.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if answer == 0 { Ok(count as usize) } else { Err(io::Error::last_os_error().into()) }
}
