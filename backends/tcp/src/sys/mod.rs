//! What is asked of the operating system: the only files of this crate with `unsafe` code.

pub(crate) mod peek;

use std::io;

use libc::c_int;

/// A call that answers with nothing but whether it worked.
fn done(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
