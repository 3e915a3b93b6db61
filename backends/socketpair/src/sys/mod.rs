//! What is asked of the operating system: the only files of this crate with `unsafe` code.

pub(crate) mod news;
pub(crate) mod options;

mod message;
mod peek;
#[cfg(recvmmsg)]
mod recvmmsg;
#[cfg(any(not(recvmmsg), test))]
mod recvmsg;

use std::io;
use std::os::fd::BorrowedFd;

use netrx::space::Lent;

use crate::calls::{Batch, Calls, Message};

#[cfg(recvmmsg)]
use recvmmsg::receive;
#[cfg(not(recvmmsg))]
use recvmsg::receive;

#[cfg(target_os = "linux")]
use peek::ask as peek_length;
#[cfg(not(target_os = "linux"))]
use peek::copy as peek_length;

/// The best calls that this system has.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// Where frames are looked at; not used where the system tells a length by itself.
    scratch: Vec<u8>,
}

impl Calls for System {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        receive(socket, lent, messages)
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        peek_length(socket, largest, &mut self.scratch)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        peek::skip(socket)
    }
}

/// The calls that every system has, to be tested on those that have better ones.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Portable {
    scratch: Vec<u8>,
}

#[cfg(test)]
impl Calls for Portable {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        recvmsg::receive(socket, lent, messages)
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        peek::copy(socket, largest, &mut self.scratch)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        peek::skip(socket)
    }
}
