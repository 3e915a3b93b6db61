//! The driver's kicks, taken without an exit to the VMM.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use netrx::Gpa;
use vmm_sys_util::errno;

use crate::sys::Event;
use crate::{KvmError, Watcher};

/// Where the driver writes its notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorbellAt {
    /// A port.
    Port(u16),
    /// An address outside of the guest's memory.
    Mmio(Gpa),
}

/// Which writes ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// All, of any width.
    Any,
    /// Those of this value, 16 bits wide: a queue's index, as virtio-pci has it (virtio 1.2, section 4.1.5.2).
    U16(u16),
    /// Those of this value, 32 bits wide: a queue's index, as virtio-mmio has it (section 4.2.2).
    U32(u32),
}

/// A doorbell of the guest's, by ioeventfd: a write that rings it does not make the vCPU exit.
///
/// The VMM polls its descriptor for reading, calls [`take`](Self::take) and then
/// [`RxWorkerSlot::kick`](netrx::RxWorkerSlot::kick); or has a [`watch`](Self::watch) do it. Rings merge until they are
/// taken, and none is lost. When the last clone is dropped it is unregistered, and such writes make vCPUs exit again.
#[derive(Clone, Debug)]
pub struct Doorbell(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    vm: Arc<VmFd>,
    at: DoorbellAt,
    value: Value,
    rung: Event,
}

impl Doorbell {
    pub(crate) fn register(vm: &Arc<VmFd>, at: DoorbellAt, value: Value) -> Result<Self, KvmError> {
        let rung = Event::new()?;
        let (fd, address) = (rung.fd(), at.address());
        let registered = match value {
            Value::Any => vm.register_ioevent(fd, &address, NoDatamatch),
            Value::U16(value) => vm.register_ioevent(fd, &address, value),
            Value::U32(value) => vm.register_ioevent(fd, &address, value),
        };
        registered.map_err(|cause| KvmError::Doorbell { at, cause: cause.into() })?;
        Ok(Self(Arc::new(Registered { vm: Arc::clone(vm), at, value, rung })))
    }

    /// Whether it rang since the last call; never blocks.
    ///
    /// # Errors
    /// When the eventfd cannot be read.
    pub fn take(&self) -> Result<bool, KvmError> {
        self.0.rung.take().map_err(KvmError::io("read a doorbell"))
    }

    /// Calls `kick` after each ring, on a thread of its own that sleeps in between.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(&self, mut kick: impl FnMut() + Send + 'static) -> Result<Watcher, KvmError> {
        Watcher::start("netrx-doorbell", self.clone(), move |bell| {
            if bell.take()? {
                kick();
            }
            Ok(())
        })
    }
}

/// Readable when it rang.
impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.rung.as_fd()
    }
}

impl Registered {
    fn unregister(&self) -> Result<(), errno::Error> {
        let (fd, address) = (self.rung.fd(), self.at.address());
        match self.value {
            Value::Any => self.vm.unregister_ioevent(fd, &address, NoDatamatch),
            Value::U16(value) => self.vm.unregister_ioevent(fd, &address, value),
            Value::U32(value) => self.vm.unregister_ioevent(fd, &address, value),
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        match self.unregister() {
            Ok(()) => {}
            Err(error) if error.errno() == libc::ENOENT => {
                tracing::debug!(at = %self.at, "a doorbell was not registered any more");
            }
            // Closing the eventfd, as happens next, does not unregister it: KVM holds it, too.
            Err(error) => tracing::error!(
                %error, at = %self.at, "a doorbell stays registered: kicks there are lost until the VM is gone"
            ),
        }
    }
}

impl DoorbellAt {
    fn address(self) -> IoEventAddress {
        match self {
            Self::Port(port) => IoEventAddress::Pio(port.into()),
            Self::Mmio(at) => IoEventAddress::Mmio(at.0),
        }
    }
}

impl fmt::Display for DoorbellAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "port {port:#x}"),
            Self::Mmio(at) => write!(f, "{at}"),
        }
    }
}
