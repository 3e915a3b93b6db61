//! Making vCPUs leave the guest.
//!
//! ```text
//! VMM: exit --requested, immediate_exit, signal--> vCPU's thread: KVM_RUN returns EINTR --> take_request --> KVM_RUN
//! ```
//!
//! A signal alone is lost if it comes just before `KVM_RUN`, and the flag alone does not end one that runs; together they
//! always work. The thread takes the request before it looks at whatever it was wanted for, so a request that comes later
//! interrupts it again, and one that comes earlier is merged: no second signal is sent.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvm_ioctls::VcpuFd;

use crate::KvmError;
use crate::sys::{RunPage, Tid, install_handler, unblock};

/// The vCPUs of all registries of the process. Locked before a registry is, which is locked before a vCPU is.
static JOINED: Mutex<Vec<Arc<Running>>> = Mutex::new(Vec::new());

/// The vCPUs of a VM that may be in the guest. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Vcpus(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    signal: c_int,
    joined: Mutex<Vec<Arc<Running>>>,
}

/// A vCPU and the thread that runs it.
#[derive(Debug)]
struct Running {
    thread: Tid,
    page: RunPage,
    /// Whether it was asked to exit and has not taken the request yet.
    requested: Mutex<bool>,
}

impl Vcpus {
    /// An empty registry, which sends real-time signal `signal` (`SIGRTMIN()` of `vmm-sys-util`, say). Several may share one.
    ///
    /// The signal gets a handler that does nothing, once in the process.
    ///
    /// # Errors
    /// When it is no real-time signal, or somebody else handles it.
    pub fn new(signal: i32) -> Result<Self, KvmError> {
        install_handler(signal)?;
        Ok(Self(Arc::new(Registry { signal, joined: Mutex::default() })))
    }

    /// Enters the vCPU that the calling thread is about to run, and lets the signal through to this thread.
    ///
    /// The vCPU is not borrowed, but it is kept from being closed by KVM until the guard is dropped.
    ///
    /// # Errors
    /// When it has joined already, here or in another registry of the process, or the system refuses. The vCPU is not entered
    /// then.
    pub fn join(&self, vcpu: &VcpuFd) -> Result<JoinedVcpu, KvmError> {
        unblock(self.0.signal).map_err(KvmError::io("unblock the signal"))?;
        let page = RunPage::map(vcpu).map_err(KvmError::io("map a vCPU's kvm_run"))?;
        let mut everywhere = lock(&JOINED);
        if let Some(other) = find(&everywhere, &page) {
            return Err(KvmError::Joined { thread: other.thread.0 });
        }
        let running = Arc::new(Running { thread: Tid::current(), page, requested: Mutex::new(false) });
        everywhere.push(Arc::clone(&running));
        lock(&self.0.joined).push(Arc::clone(&running));
        Ok(JoinedVcpu { registry: Arc::clone(&self.0), running, own_thread: PhantomData })
    }

    /// Makes every vCPU that joined leave the guest, or not enter it: its next `KVM_RUN`, or the one it is in, fails with
    /// `EINTR`. Does not wait for that. From any thread, a vCPU's too.
    ///
    /// # Errors
    /// The first failure, after all were tried.
    pub fn exit(&self) -> Result<(), KvmError> {
        let joined = lock(&self.0.joined);
        joined.iter().map(|running| running.request(self.0.signal)).fold(Ok(()), Result::and)
    }

    /// How many vCPUs have joined.
    #[must_use]
    pub fn joined(&self) -> usize {
        lock(&self.0.joined).len()
    }
}

/// The vCPU that the page is of, if it is one of them.
fn find<'r>(joined: &'r [Arc<Running>], page: &RunPage) -> Option<&'r Arc<Running>> {
    // While the page is marked, nobody asks any of them to exit, nor takes a request.
    let _unchanged: Vec<_> = joined.iter().map(|running| lock(&running.requested)).collect();
    page.marked(|| joined.iter().find(|running| running.page.is_marked()))
}

impl Running {
    fn request(&self, signal: c_int) -> Result<(), KvmError> {
        let mut requested = lock(&self.requested);
        if *requested {
            return Ok(());
        }
        self.page.set_immediate_exit(true);
        self.thread.send(signal).map_err(|cause| KvmError::Exit { thread: self.thread.0, cause })?;
        *requested = true;
        Ok(())
    }
}

/// A vCPU that has joined, until this is dropped. It belongs to the thread that joined.
#[derive(Debug)]
#[must_use = "dropping it takes the vCPU out of the registry"]
pub struct JoinedVcpu {
    registry: Arc<Registry>,
    running: Arc<Running>,
    own_thread: PhantomData<*const ()>,
}

impl JoinedVcpu {
    /// After `KVM_RUN` failed with `EINTR`: whether an exit was requested since the last call. The next `KVM_RUN` enters
    /// the guest again. Look at what the exit may be for (a flag to stop, a pending interrupt) after this, not before.
    pub fn take_request(&self) -> bool {
        let mut requested = lock(&self.running.requested);
        self.running.page.set_immediate_exit(false);
        std::mem::take(&mut *requested)
    }
}

impl Drop for JoinedVcpu {
    fn drop(&mut self) {
        let mut everywhere = lock(&JOINED);
        for joined in [&mut *everywhere, &mut *lock(&self.registry.joined)] {
            joined.retain(|other| !Arc::ptr_eq(other, &self.running));
        }
        // Before the lock is let go of: a later guard of this vCPU may be asked to exit at once.
        self.running.page.set_immediate_exit(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
