//! What is asked of the operating system: the only files of this crate with `unsafe` code.

pub(crate) mod peek;

#[cfg(epoll)]
mod epoll;
#[cfg(kqueue)]
mod kqueue;

#[cfg(epoll)]
pub(crate) use epoll::Readiness;
#[cfg(kqueue)]
pub(crate) use kqueue::Readiness;

use std::io;

use libc::c_int;

/// News of a stream that is watched: it has bytes, or has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// The name it is watched under.
    pub(crate) name: u32,
    /// Reads may come short though more is queued: before an urgent byte, or before the end.
    pub(crate) reads_short: bool,
}

/// A call that answers with nothing but whether it worked.
fn done(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
