//! The VM, the receive queue of its device, and its vCPU.

use std::ffi::CStr;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use crossbeam_channel::bounded;
use kvm_bindings::KVM_API_VERSION;
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use netrx::{EngineConfig, RxConfig, RxWorkerSlot};
use netrx_channel::ChannelSource;
use netrx_kvm::{DoorbellAt, JoinedVcpu, KvmHypervisor, MemorySlots, Value, Vcpus};
use vmm_sys_util::signal::SIGRTMIN;

use crate::guest::{self, Call, Guest, IRQ, port};

const FRAMES: [&str; 3] =
    ["to the guest, from its host: hi", "a second frame for you", "and this is the last"];

/// What a machine without KVM lacks.
const CURE: &str = "load the module kvm_intel or kvm_amd, with virtualization on in the firmware";

/// A VM of the KVM behind a device.
pub(crate) fn open(path: &CStr) -> Result<VmFd> {
    let name = path.to_string_lossy();
    let kvm = Kvm::new_with_path(path).with_context(|| {
        format!("cannot open {name} (if it is not there: {CURE}; if it is: be in the group that owns it)")
    })?;
    ensure!(
        kvm.get_api_version() == KVM_API_VERSION.cast_signed(),
        "{name} is not KVM's device: remove that file, and {CURE}"
    );
    kvm.create_vm().with_context(|| format!("the KVM of {name} makes no VM"))
}

/// Makes the machine, delivers the frames, and takes it apart.
pub(crate) fn run() -> Result<()> {
    // The machine.
    let guest = Guest { level: false, event_idx: true };
    let vm = Arc::new(open(c"/dev/kvm")?);
    vm.set_tss_address(0xfffb_d000)?;
    vm.create_irq_chip()?;
    let memory = guest.memory()?;
    let _slots = MemorySlots::register(&vm, &memory, 0)?;
    let vcpus = Vcpus::new(SIGRTMIN())?;
    let machine = KvmHypervisor::new(Arc::clone(&vm), memory, vcpus.clone());

    // The receive queue of its device.
    let slot = Arc::new(RxWorkerSlot::new("real-mode-rx"));
    slot.deposit_hypervisor(&machine, IRQ)?;
    let (frames, receiver) = bounded(16);
    slot.offer_source(0, ChannelSource::new(receiver));
    let (kicked, starts) = (Arc::clone(&slot), Arc::clone(&slot));
    let doorbell = machine.doorbell(DoorbellAt::Port(port::KICK), Value::U16(0))?;
    let _kicks = doorbell.watch(move || kicked.kick())?;
    let (ring, features) = (guest.ring(), guest.features());
    let config = RxConfig { ring, features, engine: EngineConfig::default(), restored: false };

    // Its processor, which starts the queue when the driver is ready.
    let vcpu = vm.create_vcpu(0)?;
    guest::enter(&vcpu)?;
    let (sums, summed) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let (registry, stopped) = (vcpus.clone(), Arc::clone(&stop));
    let cpu = thread::spawn(move || {
        let joined = registry.join(&vcpu)?;
        run_vcpu(vcpu, &joined, &stopped, |call| match call {
            Call::Ready => Ok(starts.driver_ok(config)?),
            Call::Sum(sum) => Ok(sums.send(sum)?),
            _ => Ok(()),
        })
    });

    let (mut out, mut received) = (stdout(), 0);
    for frame in FRAMES {
        frames.send(frame)?;
        // A processor that has ended says why when it is joined.
        let Ok(sum) = summed.recv() else { break };
        writeln!(out, "the guest received {} bytes with the sum {sum:08x}: {frame:?}", frame.len())?;
        ensure!(sum == guest::sum(frame.as_bytes()), "the guest received something else");
        received += 1;
    }

    stop.store(true, Ordering::SeqCst);
    vcpus.exit()?;
    cpu.join().map_err(|_| anyhow!("the vCPU's thread panicked"))??;
    ensure!(received == FRAMES.len(), "the guest ended after {received} frames");
    let stats = slot.stop()?.context("a worker ran")?.report.stats;
    writeln!(out, "{} frames, {} interrupts", stats.frames_delivered, stats.irqs_raised)?;
    Ok(())
}

/// Runs the guest until told to stop.
fn run_vcpu(
    mut vcpu: VcpuFd,
    joined: &JoinedVcpu,
    stop: &AtomicBool,
    mut serve: impl FnMut(Call<'_>) -> Result<()>,
) -> Result<()> {
    while !stop.load(Ordering::SeqCst) {
        match vcpu.run() {
            Ok(exit) => serve(guest::call(exit)?)?,
            Err(error) if error.errno() == libc::EINTR => _ = joined.take_request(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
