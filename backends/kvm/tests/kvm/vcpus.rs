//! Making vCPUs leave the guest: never lost, merged, typed when it fails.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use kvm_ioctls::VcpuFd;
use netrx::Hypervisor;
use netrx_kvm::{KvmError, Vcpus};
use vmm_sys_util::signal::{SIGRTMIN, block_signal, register_signal_handler, unblock_signal};

use crate::guest::{self, Call, Guest};
use crate::rig::{Machine, STUCK};

const GUEST: Guest = Guest { level: false, event_idx: false };

/// How long a guest is given to halt, once it has said that it is ready.
const TO_HALT: Duration = Duration::from_millis(100);

/// A vCPU at the start of the guest's program.
fn vcpu(machine: &Machine, id: u64) -> Result<VcpuFd> {
    let vcpu = machine.vm.create_vcpu(id)?;
    guest::enter(&vcpu)?;
    Ok(vcpu)
}

/// Whether the next run is ended by a request, and not by what the guest does.
fn is_interrupted(vcpu: &mut VcpuFd) -> bool {
    matches!(vcpu.run(), Err(error) if error.errno() == libc::EINTR)
}

fn is_ready(vcpu: &mut VcpuFd) -> Result<bool> {
    Ok(guest::call(vcpu.run()?)? == Call::Ready)
}

#[test]
fn a_request_before_the_run_is_not_lost_and_many_are_one() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let mut vcpu = vcpu(&machine, 0)?;
    let joined = machine.vcpus.join(&vcpu)?;
    ensure!(!joined.take_request(), "none yet");
    for _ in 0..1000 {
        machine.hypervisor.exit_vcpus()?;
    }
    ensure!(is_interrupted(&mut vcpu), "it does not enter the guest");
    ensure!(joined.take_request(), "it was asked to");
    ensure!(!joined.take_request(), "once");
    ensure!(is_ready(&mut vcpu)?, "then it enters the guest");
    Ok(())
}

#[test]
fn a_request_that_is_not_taken_yet_sends_no_second_signal() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let vcpu = vcpu(&machine, 0)?;
    let joined = machine.vcpus.join(&vcpu)?;
    // Real-time signals that a thread holds back are queued, each of them.
    block_signal(SIGRTMIN()).map_err(|error| anyhow!("{error}"))?;
    for _ in 0..1000 {
        machine.vcpus.exit()?;
    }
    let queued = queued_signals()?;
    unblock_signal(SIGRTMIN()).map_err(|error| anyhow!("{error}"))?;
    ensure!((1..500).contains(&queued), "{queued} signals for 1000 requests");
    ensure!(joined.take_request());
    Ok(())
}

/// How many signals are queued, for all processes of this user's.
fn queued_signals() -> Result<u32> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let queued = status.lines().find_map(|line| line.strip_prefix("SigQ:")?.split('/').next());
    Ok(queued.context("the system counts them")?.trim().parse()?)
}

#[test]
fn a_guest_that_sleeps_is_left() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let (says, said) = mpsc::channel();
    let cpu = machine.start(move |_| _ = says.send(()))?;
    said.recv_timeout(STUCK)?;
    // From here on it halts, which is no exit; only the stop ends it.
    cpu.stop()
}

#[test]
fn a_guest_is_left_by_a_thread_that_held_the_signal_back() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let (says, said) = mpsc::channel();
    // A thread begins with the mask of the one that starts it.
    block_signal(SIGRTMIN()).map_err(|error| anyhow!("{error}"))?;
    let cpu = machine.start(move |_| _ = says.send(()));
    unblock_signal(SIGRTMIN()).map_err(|error| anyhow!("{error}"))?;
    let cpu = cpu?;
    said.recv_timeout(STUCK)?;
    // A request before the run would need no signal.
    thread::sleep(TO_HALT);
    cpu.stop()
}

#[test]
fn every_request_of_many_is_answered() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let (vcpus, mut vcpu) = (machine.vcpus.clone(), vcpu(&machine, 0)?);
    let (answers, answered) = mpsc::channel();
    // It ends by itself when nobody wants answers any more.
    let thread = thread::spawn(move || -> Result<()> {
        let (joined, other) = (vcpus.join(&vcpu)?, Vcpus::new(SIGRTMIN())?);
        while !is_interrupted(&mut vcpu) || !joined.take_request() || answers.send(()).is_ok() {
            ensure!(other.join(&vcpu).is_err(), "the next request may come while this is found out");
        }
        Ok(())
    });
    while machine.vcpus.joined() == 0 {
        thread::yield_now();
    }
    for number in 0..2000 {
        machine.vcpus.exit()?;
        answered.recv_timeout(STUCK).with_context(|| format!("request {number} is answered"))?;
    }
    drop(answered);
    machine.vcpus.exit()?;
    thread.join().map_err(|_| anyhow!("the vCPU's thread panicked"))?
}

#[test]
fn vcpus_come_and_go_while_others_ask_them_to_exit() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    thread::scope(|scope| {
        let vcpus = &machine.vcpus;
        let mut threads = Vec::new();
        for id in 0..2 {
            let mut vcpu = vcpu(&machine, id)?;
            threads.push(scope.spawn(move || -> Result<()> {
                for _ in 0..500 {
                    let joined = vcpus.join(&vcpu)?;
                    vcpus.exit()?;
                    ensure!(is_interrupted(&mut vcpu));
                    ensure!(joined.take_request());
                }
                Ok(())
            }));
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a vCPU's thread panicked"))??;
        }
        ensure!(vcpus.joined() == 0, "all have left");
        Ok(vcpus.exit()?)
    })
}

#[test]
fn a_vcpu_joins_once_and_again_when_it_has_left() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let (mut vcpu, other) = (vcpu(&machine, 0)?, vcpu(&machine, 1)?);
    let joined = machine.vcpus.join(&vcpu)?;
    let _other = machine.vcpus.join(&other)?;
    let second = || matches!(machine.vcpus.join(&vcpu), Err(KvmError::Joined { thread }) if thread > 0);
    ensure!(second() && machine.vcpus.joined() == 2);
    machine.vcpus.exit()?;
    ensure!(second(), "nor while it is asked to exit");
    ensure!(is_interrupted(&mut vcpu) && joined.take_request(), "which it still is");
    ensure!(!joined.take_request() && is_ready(&mut vcpu)?, "and of which nothing is left");
    drop(joined);
    let again = machine.vcpus.join(&vcpu)?;
    machine.vcpus.exit()?;
    ensure!(is_interrupted(&mut vcpu) && again.take_request());
    Ok(())
}

#[test]
fn a_vcpu_joins_one_registry() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let (mut vcpu, other) = (vcpu(&machine, 0)?, Vcpus::new(SIGRTMIN())?);
    let joined = machine.vcpus.join(&vcpu)?;
    let second = || matches!(other.join(&vcpu), Err(KvmError::Joined { thread }) if thread > 0);
    ensure!(second() && other.joined() == 0);
    machine.vcpus.exit()?;
    ensure!(second(), "nor while it is asked to exit");
    ensure!(is_interrupted(&mut vcpu) && joined.take_request(), "which it still is");
    ensure!(!joined.take_request() && is_ready(&mut vcpu)?, "and of which nothing is left");
    drop(joined);
    let moved = other.join(&vcpu)?;
    machine.vcpus.exit()?;
    ensure!(!moved.take_request(), "it is asked by its own registry only");
    other.exit()?;
    ensure!(is_interrupted(&mut vcpu) && moved.take_request());
    Ok(())
}

#[test]
fn a_guard_that_is_dropped_asks_for_nothing_any_more() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let mut vcpu = vcpu(&machine, 0)?;
    let joined = machine.vcpus.join(&vcpu)?;
    machine.vcpus.exit()?;
    drop(joined);
    machine.vcpus.exit()?;
    ensure!(is_ready(&mut vcpu)?);
    Ok(())
}

#[test]
fn a_thread_that_is_gone_is_named_and_the_others_exit() -> Result<()> {
    let Some(machine) = Machine::new(GUEST)? else { return Ok(()) };
    let lost = vcpu(&machine, 1)?;
    let vcpus = machine.vcpus.clone();
    let forgotten = thread::spawn(move || vcpus.join(&lost).map(std::mem::forget));
    forgotten.join().map_err(|_| anyhow!("it panicked"))??;
    let mut vcpu = vcpu(&machine, 0)?;
    let _joined = machine.vcpus.join(&vcpu)?;
    let refused = machine.vcpus.exit();
    ensure!(matches!(refused, Err(KvmError::Exit { .. })), "{refused:?}");
    ensure!(is_interrupted(&mut vcpu), "the other was told all the same");
    Ok(())
}

#[test]
fn a_signal_must_be_real_time_and_free() {
    extern "C" fn theirs(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    let taken = SIGRTMIN() + 5;
    assert!(register_signal_handler(taken, theirs).is_ok());
    assert!(matches!(Vcpus::new(taken), Err(KvmError::SignalTaken(signal)) if signal == taken));
    assert!(matches!(Vcpus::new(libc::SIGUSR1), Err(KvmError::NotRealTime(libc::SIGUSR1))));
    assert!(Vcpus::new(SIGRTMIN()).is_ok() && Vcpus::new(SIGRTMIN()).is_ok(), "several share one");
}
