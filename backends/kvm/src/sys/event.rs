//! An eventfd that can be lent.

#![allow(unsafe_code, reason = "vmm-sys-util's eventfd does not lend its descriptor")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::KvmError;

/// An eventfd that never blocks.
#[derive(Debug)]
pub(crate) struct Event(EventFd);

impl Event {
    pub(crate) fn new() -> Result<Self, KvmError> {
        let flags = EFD_NONBLOCK | libc::EFD_CLOEXEC;
        EventFd::new(flags).map(Self).map_err(KvmError::io("make an eventfd"))
    }

    /// For the calls of KVM.
    pub(crate) fn fd(&self) -> &EventFd {
        &self.0
    }

    /// Signals it. One that is signalled as often as it can count stays so.
    pub(crate) fn signal(&self) -> io::Result<()> {
        match self.0.write(1) {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => Ok(()),
            written => written,
        }
    }

    /// Takes back all signals; whether there were any.
    pub(crate) fn take(&self) -> io::Result<bool> {
        match self.0.read() {
            Ok(_) => Ok(true),
            Err(none) if none.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the eventfd owns its descriptor and is borrowed for as long.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}
