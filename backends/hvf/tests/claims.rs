//! What the backend takes the framework to do, asked of the framework itself: of the real one on macOS, of the stand-in on
//! Linux, so that the two can be told apart by running this on both.
//!
//! On macOS the test's program has to be signed with the entitlement `com.apple.security.hypervisor`; if it is not, the
//! test says SKIPPED, or fails where the environment variable `NETRX_HVF` is `required`.

#![cfg(supported)]

#[cfg(stand_in)]
mod framework;
#[path = "hvf/rig.rs"]
mod rig;

use std::sync::mpsc;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, ensure};
use applevisor_sys::hv_exit_reason_t::CANCELED;
use netrx::{Gpa, Hypervisor, HypervisorError, IrqId, IrqLine, LevelLine};
use netrx_hvf::{GuestMapping, HvfError, HvfHypervisor, HvfMemory, Ran, Vcpus};
use netrx_mock::MockMemory;

use rig::{IRQ, OwnVcpu, STUCK};

/// AArch64's branch to itself.
const FOR_EVER: [u8; 4] = 0x1400_0000_u32.to_le_bytes();

/// One test: a process has one VM.
#[test]
fn the_framework_does_what_the_backend_takes_it_to_do() -> Result<()> {
    #[cfg(stand_in)]
    let _framework = framework::Framework::bare();
    if let Err(error) = rig::make_vm() {
        let required = cfg!(stand_in) || env::var_os("NETRX_HVF").is_some_and(|value| value == "required");
        ensure!(!required, "the framework is required: {error:#}");
        println!("SKIPPED: {error:#}");
        return Ok(());
    }
    let mock = MockMemory::heap(&[1 << 16]);
    let (start, _) = mock.regions()[0];
    mock.slice(start, FOR_EVER.len())?.copy_from(&FOR_EVER);
    let memory = rig::memory(&mock)?;
    let shown = GuestMapping::map(&memory).context("memory of whole pages is taken")?;
    half_a_page_is_a_bad_argument()?;
    interrupts_are_spis(&HvfHypervisor::new(memory, Vcpus::new()))?;
    exits_are_kept(start)?;
    drop(shown);
    rig::destroy_vm()
}

fn half_a_page_is_a_bad_argument() -> Result<()> {
    let (mock, half) = (MockMemory::heap(&[1 << 16]), rustix::param::page_size() / 2);
    let host = mock.slice(mock.regions()[0].0, 1)?.as_ptr() as usize;
    let refused = GuestMapping::map(&HvfMemory::new([(Gpa(0x2_0000_0000), rig::made_up(host, half))])?);
    ensure!(matches!(refused, Err(HvfError::Misaligned { .. })), "{refused:?}");
    Ok(())
}

fn interrupts_are_spis(machine: &HvfHypervisor) -> Result<()> {
    let private = machine.irq_line(IrqId(31));
    ensure!(matches!(private, Err(HypervisorError::NoSuchIrq(_))), "{private:?}");
    ensure!(matches!(machine.irq_line(IrqId(u32::MAX)), Err(HypervisorError::NoSuchIrq(_))));
    machine.irq_line(IRQ)?.raise()?;
    let level = machine.level_pin(IRQ)?;
    level.set(true)?;
    Ok(level.set(false)?)
}

/// An exit that finds the vCPU outside cancels its next run; one that finds it inside, the run that it is in.
fn exits_are_kept(start: Gpa) -> Result<()> {
    let (vcpus, (inside, was_inside)) = (Vcpus::new(), mpsc::channel());
    let registry = vcpus.clone();
    let thread = thread::spawn(move || -> Result<()> {
        let vcpu = OwnVcpu::new()?;
        vcpu.start_at(start)?;
        let mut joined = registry.join(vcpu.id)?;
        let early = joined.run(|| {
            registry.exit()?;
            vcpu.run()
        });
        ensure!(matches!(early, Ran::Exited(Ok(CANCELED))), "an exit before the run: {early:?}");
        ensure!(joined.run(|| ()) == Ran::Requested);
        inside.send(())?;
        while let Ran::Exited(why) = joined.run(|| vcpu.run()) {
            ensure!(why? == CANCELED, "the guest does nothing else");
        }
        Ok(())
    });
    was_inside.recv_timeout(STUCK).context("the first run ends")?;
    // Most likely it has entered by then; if not, the request finds it outside, which is right as well.
    thread::sleep(std::time::Duration::from_millis(50));
    vcpus.exit()?;
    thread.join().map_err(|_| anyhow!("the vCPU's thread panicked"))?
}
