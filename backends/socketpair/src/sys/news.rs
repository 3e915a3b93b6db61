//! Errors that are none of the socket's own.

use std::io;

/// What networks say of frames that were sent through a socket: the next read gives it, once, and the one after that frames.
const CODES: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EMSGSIZE,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::ENETDOWN,
    libc::EPROTO,
    libc::EACCES,
    #[cfg(target_os = "linux")]
    libc::ENONET,
];

/// Whether a read failed with news of what others sent through the socket, and nothing else is wrong with it.
pub(crate) fn is_news(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}
