//! The machines that the tests run their guests in, and the one place that says why there are none.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use kvm_ioctls::{Cap, Kvm, VmFd};
use netrx_kvm::{KvmHypervisor, MemorySlots, Vcpus};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::signal::SIGRTMIN;

use crate::guest::{self, Call, Guest};

/// How long something that must happen may take.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// Set to `required`, a missing KVM is a failure.
const SWITCH: &str = "NETRX_KVM";
const NEEDED: [Cap; 6] =
    [Cap::Irqchip, Cap::Irqfd, Cap::IrqfdResample, Cap::Ioeventfd, Cap::ImmediateExit, Cap::IrqRouting];

/// A VM with interrupt controllers and a guest's memory.
pub(crate) struct Machine {
    pub(crate) vm: Arc<VmFd>,
    pub(crate) memory: GuestMemoryMmap,
    pub(crate) vcpus: Vcpus,
    pub(crate) hypervisor: KvmHypervisor<GuestMemoryMmap>,
    _slots: MemorySlots,
}

/// A VM with nothing in it; `None`, and why, where KVM is missing or lacks something.
pub(crate) fn vm() -> Option<Arc<VmFd>> {
    match bare() {
        Ok(vm) => Some(Arc::new(vm)),
        Err(reason) => {
            let required = env::var_os(SWITCH).is_some_and(|value| value == "required");
            assert!(!required, "KVM is required: {reason:#}");
            println!("SKIPPED: {reason:#}");
            None
        }
    }
}

fn bare() -> Result<VmFd> {
    let vm = Kvm::new().context("cannot open /dev/kvm")?.create_vm().context("cannot make a VM")?;
    for cap in NEEDED {
        ensure!(vm.check_extension(cap), "this KVM lacks {cap:?}");
    }
    Ok(vm)
}

impl Machine {
    /// A machine for that guest; `None` where there is no KVM.
    pub(crate) fn new(guest: Guest) -> Result<Option<Self>> {
        let Some(vm) = vm() else { return Ok(None) };
        vm.set_tss_address(0xfffb_d000)?;
        vm.create_irq_chip()?;
        let memory = guest.memory()?;
        let slots = MemorySlots::register(&vm, &memory, 0)?;
        let vcpus = Vcpus::new(SIGRTMIN())?;
        let hypervisor = KvmHypervisor::new(Arc::clone(&vm), memory.clone(), vcpus.clone());
        Ok(Some(Self { vm, memory, vcpus, hypervisor, _slots: slots }))
    }

    /// Runs the guest on a thread of its own until it is stopped; what it asks for goes to `serve`.
    pub(crate) fn start(&self, mut serve: impl FnMut(Call<'_>) + Send + 'static) -> Result<Cpu> {
        let mut vcpu = self.vm.create_vcpu(0)?;
        guest::enter(&vcpu)?;
        let (vcpus, stop) = (self.vcpus.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let (running, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let _running = running;
            let joined = vcpus.join(&vcpu)?;
            while !stopped.load(Ordering::SeqCst) {
                match vcpu.run() {
                    Ok(exit) => serve(guest::call(exit)?),
                    Err(error) if error.errno() == libc::EINTR => _ = joined.take_request(),
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        });
        Ok(Cpu { vcpus: self.vcpus.clone(), stop, ended, thread })
    }
}

/// A guest that runs.
pub(crate) struct Cpu {
    vcpus: Vcpus,
    stop: Arc<AtomicBool>,
    /// Closed by the end of the thread.
    ended: Receiver<()>,
    thread: JoinHandle<Result<()>>,
}

impl Cpu {
    /// Makes it leave the guest, for good.
    pub(crate) fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        // A vCPU that has not joined yet sees the flag.
        self.vcpus.exit()?;
        let ended = self.ended.recv_timeout(STUCK);
        ensure!(ended == Err(RecvTimeoutError::Disconnected), "the vCPU does not leave the guest");
        self.thread.join().map_err(|_| anyhow!("the vCPU's thread panicked"))?
    }
}
