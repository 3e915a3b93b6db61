//! What KVM or the system refused, and what to do about it.

use std::io;

use netrx::{Gpa, HypervisorError, IrqError, IrqId};

use crate::DoorbellAt;

/// Why something could not be set up in a VM. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvmError {
    /// A region of the guest's memory is not acceptable as a slot.
    #[error(
        "the {len} bytes of guest memory at {start} cannot be slot {slot}: {cause} (slots are whole pages, do not \
         overlap, and have numbers of their own)"
    )]
    Slot {
        /// Where the region begins in the guest.
        start: Gpa,
        /// Its length in bytes.
        len: u64,
        /// The number that it was to have.
        slot: u32,
        /// What KVM said.
        #[source]
        cause: io::Error,
    },
    /// The interrupt is neither a pin of the interrupt controllers nor a live [`MsiRoute`](crate::MsiRoute).
    #[error("the machine has no interrupt {}: it is neither a pin nor an MSI route", .0.0)]
    NoSuchIrq(IrqId),
    /// A message is sent once, and has no level.
    #[error("interrupt {} is an MSI route, which has no level: use an edge-triggered line", .0.0)]
    MsiLevel(IrqId),
    /// The interrupt cannot be raised through an eventfd.
    #[error("interrupt {} cannot be bound to an eventfd: {cause} (the VM needs its in-kernel interrupt controllers)", irq.0)]
    Bind {
        /// The interrupt.
        irq: IrqId,
        /// What KVM said.
        #[source]
        cause: io::Error,
    },
    /// All numbers for interrupts are taken.
    #[error("the VM has no number left for another MSI route: it has {0} interrupts at most")]
    NoFreeIrq(u32),
    /// KVM did not take the table of routes.
    #[error("the route of interrupt {} cannot be set: {cause} (the VM needs its in-kernel interrupt controllers)", irq.0)]
    Route {
        /// The interrupt that was to be added or changed.
        irq: IrqId,
        /// What KVM said.
        #[source]
        cause: io::Error,
    },
    /// The doorbell cannot be registered.
    #[error("no doorbell can be at {at}: {cause} (each address and value has one at most)")]
    Doorbell {
        /// Where it was to be.
        at: DoorbellAt,
        /// What KVM said.
        #[source]
        cause: io::Error,
    },
    /// The doorbell would be in guest memory.
    #[error("no doorbell can be at {0}: the guest has memory there, and writes to that ring nothing")]
    InMemory(Gpa),
    /// The signal is not a real-time one.
    #[error("signal {0} is not a real-time signal: take one from SIGRTMIN to SIGRTMAX")]
    NotRealTime(i32),
    /// Somebody else handles the signal.
    #[error("signal {0} has a handler of somebody else's: take another real-time signal")]
    SignalTaken(i32),
    /// The vCPU is in a registry already.
    #[error(
        "the vCPU has joined already, for thread {thread}: drop that guard first, each is run by one thread"
    )]
    Joined {
        /// The system's number of the thread that joined.
        thread: i32,
    },
    /// A vCPU could not be told to leave the guest; the others were.
    #[error("the vCPU of thread {thread} cannot be signalled: {cause}")]
    Exit {
        /// The system's number of its thread.
        thread: i32,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The operating system refused.
    #[error("cannot {doing}: {cause}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl KvmError {
    /// For `map_err`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, cause }
    }
}

impl From<KvmError> for HypervisorError {
    fn from(error: KvmError) -> Self {
        match error {
            KvmError::NoSuchIrq(irq) => Self::NoSuchIrq(irq),
            error => Self::Backend(Box::new(error)),
        }
    }
}

impl From<KvmError> for IrqError {
    fn from(error: KvmError) -> Self {
        Self::Failed(Box::new(error))
    }
}
