//! The machine, the frames for its card, and its vCPU's loop.

use std::io::{Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use applevisor_sys::hv_reg_t;
use crossbeam_channel::bounded;
use netrx::{Gpa, Hypervisor};
use netrx_channel::ChannelSource;
use netrx_hvf::{GuestMapping, HvfHypervisor, HvfMemory, JoinedVcpu, Ran, Vcpus};

use crate::card::{self, Card};
use crate::cpu::{Access, Exit, Vcpu};
use crate::vm::{self, Vm};

/// Where the guest's memory and its program begin.
pub(crate) const RAM: Gpa = Gpa(0x4000_0000);
pub(crate) const RAM_LEN: usize = 16 << 20;

/// PSCI's `SYSTEM_OFF`, and what it answers to all else.
const SYSTEM_OFF: u64 = 0x8400_0008;
const NOT_SUPPORTED: u64 = u64::MAX;

pub(crate) const FRAMES: [&str; 3] =
    ["to the guest, from its host: hi", "a second frame for you", "and this is the last"];

/// Makes the machine, has its program loaded, delivers the frames, and takes it apart when the guest turns it off. Returns how
/// many frames the guest took.
pub(crate) fn run<T>(load: impl FnOnce(&HvfMemory) -> Result<T>) -> Result<u64> {
    let _vm = Vm::new()?;
    let memory = HvfMemory::new([(RAM, vm::ram(RAM_LEN)?)])?;
    let _shown = GuestMapping::map(&memory)?;
    let vcpus = Vcpus::new();
    let machine = HvfHypervisor::new(memory, vcpus.clone());
    load(&machine.memory())?;

    let (card, stop) = (card::new(&machine, &vcpus)?, AtomicBool::new(false));
    let (frames, receiver) = bounded(16);
    card.slot().offer_source(0, ChannelSource::new(receiver));
    thread::scope(|scope| {
        let cpu = scope.spawn(|| run_vcpu(&vcpus, &card, &stop));
        let sent = FRAMES.into_iter().try_for_each(|frame| frames.send(frame));
        if sent.is_err() {
            // The frames go nowhere: neither does the guest.
            stop.store(true, Ordering::SeqCst);
            machine.exit_vcpus()?;
        }
        cpu.join().map_err(|_| anyhow!("the vCPU's thread panicked"))?
    })?;
    let stopped = card.slot().stop()?.context("no driver was ready, or it reset the card")?;
    let stats = stopped.report.stats;
    writeln!(stdout(), "{} frames, {} interrupts", stats.frames_delivered, stats.irqs_raised)?;
    Ok(stats.frames_delivered)
}

/// Makes a vCPU on this thread and runs it, until the guest turns the machine off or it is to stop.
fn run_vcpu(vcpus: &Vcpus, card: &Card, stop: &AtomicBool) -> Result<()> {
    let vcpu = Vcpu::new(RAM.0)?;
    let mut joined = vcpus.join(vcpu.id)?;
    while !stop.load(Ordering::SeqCst) {
        // Of a request, too, only the flag is of interest here: the GIC looks after the interrupts.
        let Ran::Exited(exit) = joined.run(|| vcpu.run()) else { continue };
        if serve(&vcpu, &mut joined, card, exit?)? {
            break;
        }
    }
    Ok(())
}

/// Does what the guest came out for; whether the machine is off.
fn serve(vcpu: &Vcpu, joined: &mut JoinedVcpu, card: &Card, exit: Exit) -> Result<bool> {
    match exit {
        Exit::Canceled => {}
        Exit::Mmio(access) => serve_access(vcpu, card, access)?,
        Exit::Wait => {
            vcpu.skip()?;
            // An interrupt that comes from here on requests an exit. Of a guest with a timer: sleep until that is due.
            if !card::interrupts(card) {
                joined.sleep(None);
            }
        }
        Exit::Call => match vcpu.get(hv_reg_t::X0)? {
            SYSTEM_OFF => return Ok(true),
            _ => vcpu.set(hv_reg_t::X0, NOT_SUPPORTED)?,
        },
    }
    Ok(false)
}

/// An access to the card, or to nothing, which reads as 0.
fn serve_access(vcpu: &Vcpu, card: &Card, access: Access) -> Result<()> {
    let offset = access.at.checked_sub(card::AT).filter(|offset| *offset < card::LEN);
    let mut data = if access.write { vcpu.written(access)? } else { [0; 8] };
    match offset {
        Some(offset) if access.write => card.write(offset, &data[..access.bytes])?,
        Some(offset) => card.read(offset, &mut data[..access.bytes]),
        None => {}
    }
    if !access.write {
        vcpu.give(access, data)?;
    }
    vcpu.skip()
}
