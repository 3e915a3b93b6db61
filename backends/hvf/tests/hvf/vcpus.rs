//! Making vCPUs come out: never missed, never asked twice, not asked at all where it is of no use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use applevisor_sys::hv_exit_reason_t::CANCELED;
use netrx::{Hypervisor, IrqLine, LevelLine};
use netrx_hvf::{HvfError, HvfHypervisor, JoinedVcpu, Nudging, Ran, Vcpus};
use netrx_mock::{MockMemory, eventually};

use crate::framework::{Call, Framework};
use crate::rig::{self, IRQ, OwnVcpu, STUCK};

/// How often a vCPU was asked to exit, for each of them, and how often it ran.
fn asked_and_ran(calls: &[Call]) -> HashMap<u64, (u64, u64)> {
    let mut counts: HashMap<u64, (u64, u64)> = HashMap::new();
    for call in calls {
        for vcpu in &call.args {
            let (asked, ran) = counts.entry(*vcpu).or_default();
            *asked += u64::from(call.name == "hv_vcpus_exit");
            *ran += u64::from(call.name == "hv_vcpu_run");
        }
    }
    counts.retain(|_, counts| *counts != (0, 0));
    counts
}

/// Runs a vCPU until an exit is requested.
fn run_until_requested(joined: &mut JoinedVcpu, vcpu: &OwnVcpu) -> Result<()> {
    while let Ran::Exited(why) = joined.run(|| vcpu.run()) {
        ensure!(why? == CANCELED, "its guest does nothing");
    }
    Ok(())
}

#[test]
fn outside_of_the_guest_a_request_costs_no_call_and_is_not_lost() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut joined = vcpus.join(vcpu.id)?;
    for _ in 0..1000 {
        vcpus.exit()?;
    }
    ensure!(framework.count("hv_vcpus_exit") == 0);
    ensure!(joined.run(|| ()) == Ran::Requested, "it does not enter the guest");
    ensure!(joined.run(|| ()) == Ran::Exited(()), "once");
    Ok(())
}

#[test]
fn inside_of_the_guest_many_requests_are_one_call() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut joined = vcpus.join(vcpu.id)?;
    let ran = joined.run(|| -> Result<_> {
        for _ in 0..1000 {
            vcpus.exit()?;
        }
        vcpu.run()
    });
    ensure!(matches!(ran, Ran::Exited(Ok(CANCELED))), "it was about to enter: {ran:?}");
    for _ in 0..1000 {
        vcpus.exit()?;
    }
    ensure!(joined.run(|| ()) == Ran::Requested, "all of them are one");
    ensure!(framework.count("hv_vcpus_exit") == 1);
    Ok(())
}

#[test]
fn an_exit_that_comes_too_late_cancels_one_run_and_is_no_request() -> Result<()> {
    let (_framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut joined = vcpus.join(vcpu.id)?;
    // The guest comes out by itself while it is asked to.
    ensure!(matches!(joined.run(|| vcpus.exit()), Ran::Exited(Ok(()))));
    ensure!(joined.run(|| ()) == Ran::Requested);
    ensure!(matches!(joined.run(|| vcpu.run()), Ran::Exited(Ok(CANCELED))), "the framework kept it");
    let again = joined.run(|| ());
    ensure!(again == Ran::Exited(()), "nobody asked for more");
    Ok(())
}

#[test]
fn a_vcpu_joins_once_and_again_when_it_has_left() -> Result<()> {
    let (_framework, vcpus, vcpu) = (Framework::new(), Vcpus::default(), OwnVcpu::new()?);
    let joined = vcpus.join(vcpu.id)?;
    let second = vcpus.join(vcpu.id);
    ensure!(matches!(&second, Err(HvfError::Joined(id)) if *id == vcpu.id), "{second:?}");
    ensure!(vcpus.joined() == 1);
    vcpus.exit()?;
    drop(joined);
    ensure!(vcpus.joined() == 0);
    vcpus.exit()?;
    let mut joined = vcpus.join(vcpu.id)?;
    ensure!(joined.run(|| ()) == Ran::Exited(()), "what was asked of it before is forgotten");
    Ok(())
}

#[test]
fn a_vcpu_that_is_unknown_is_named_and_the_others_come_out() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut lost = vcpus.join(77)?;
    let mut joined = vcpus.join(vcpu.id)?;
    let ran = lost.run(|| joined.run(|| (vcpus.exit(), vcpu.run())));
    let Ran::Exited(Ran::Exited((refused, why))) = ran else { anyhow::bail!("{ran:?}") };
    ensure!(matches!(refused, Err(HvfError::Exit { vcpu: 77, .. })), "{refused:?}");
    ensure!(why? == CANCELED, "the other was asked all the same");
    ensure!(joined.run(|| ()) == Ran::Requested && lost.run(|| ()) == Ran::Exited(()));
    ensure!(framework.count("hv_vcpus_exit") == 3, "together, then one by one");
    Ok(())
}

#[test]
fn a_panic_in_the_guest_leaves_the_guest() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut joined = vcpus.join(vcpu.id)?;
    let panics =
        std::panic::AssertUnwindSafe(|| _ = joined.run(|| std::panic::resume_unwind(Box::new("told to"))));
    ensure!(std::panic::catch_unwind(panics).is_err());
    vcpus.exit()?;
    ensure!(framework.count("hv_vcpus_exit") == 0, "it is outside");
    Ok(())
}

#[test]
fn every_request_of_many_is_answered() -> Result<()> {
    let (framework, vcpus) = (Framework::new(), Vcpus::new());
    let (answers, answered) = mpsc::channel();
    let registry = vcpus.clone();
    let thread = thread::spawn(move || -> Result<()> {
        let vcpu = OwnVcpu::new()?;
        let mut joined = registry.join(vcpu.id)?;
        loop {
            run_until_requested(&mut joined, &vcpu)?;
            // Nobody wants answers any more: the end.
            if answers.send(()).is_err() {
                return Ok(());
            }
        }
    });
    eventually("it joins", || vcpus.joined() == 1);
    for number in 0..5000 {
        if number % 2 == 0 {
            ensure!(framework.wait_inside(0, STUCK));
        }
        vcpus.exit()?;
        answered.recv_timeout(STUCK).map_err(|error| anyhow!("request {number}: {error}"))?;
    }
    drop(answered);
    vcpus.exit()?;
    thread.join().map_err(|_| anyhow!("the vCPU's thread panicked"))?
}

#[test]
fn a_vcpu_that_sleeps_is_woken_without_a_call() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let mut joined = vcpus.join(vcpu.id)?;
    let begin = Instant::now();
    joined.sleep(Some(begin + Duration::from_millis(20)));
    ensure!(begin.elapsed() >= Duration::from_millis(20), "nobody wants it");
    ensure!(joined.run(|| ()) == Ran::Exited(()), "no request has come of that");
    joined.sleep(Some(begin));
    let (asks, awaited) = (vcpus.clone(), mpsc::channel());
    let asker = thread::spawn(move || -> Result<()> {
        for () in awaited.1 {
            asks.exit()?;
        }
        Ok(())
    });
    for _ in 0..1000 {
        awaited.0.send(())?;
        joined.sleep(Some(Instant::now() + STUCK));
        ensure!(begin.elapsed() < STUCK, "it is woken, or does not fall asleep");
        joined.sleep(Some(Instant::now() + STUCK));
        ensure!(joined.run(|| ()) == Ran::Requested, "the request is still there");
    }
    drop(awaited.0);
    asker.join().map_err(|_| anyhow!("it panicked"))??;
    ensure!(framework.count("hv_vcpus_exit") == 0);
    Ok(())
}

#[test]
fn a_nudging_line_wakes_whoever_sleeps_and_a_lowered_one_nobody() -> Result<()> {
    let (framework, vcpus, vcpu) = (Framework::new(), Vcpus::new(), OwnVcpu::new()?);
    let machine = HvfHypervisor::new(rig::memory(&MockMemory::heap(&[1 << 16]))?, vcpus.clone());
    let mut joined = vcpus.join(vcpu.id)?;
    let mut edge = Nudging::new(machine.irq_line(IRQ)?, vcpus.clone());
    edge.raise()?;
    ensure!(joined.run(|| ()) == Ran::Requested && framework.spi(IRQ.0).edges == 1);
    let level = Nudging::new(machine.level_pin(IRQ)?, vcpus.clone());
    level.set(true)?;
    ensure!(joined.run(|| ()) == Ran::Requested && framework.spi(IRQ.0).high);
    level.set(false)?;
    ensure!(joined.run(|| ()) == Ran::Exited(()) && !framework.spi(IRQ.0).high);
    level.set(true)?;
    drop(level);
    ensure!(!framework.spi(IRQ.0).high, "dropped, it falls");
    Ok(())
}

/// The answer of a vCPU that has not joined.
const AWAY: u64 = u64::MAX;

/// A vCPU that stays, and answers to each number that is asked for by name.
fn staying(vcpus: &Vcpus, wanted: &AtomicU64, done: &AtomicU64, over: &AtomicBool) -> Result<()> {
    let vcpu = OwnVcpu::new()?;
    let mut joined = vcpus.join(vcpu.id)?;
    done.store(0, Ordering::Relaxed);
    while !over.load(Ordering::Relaxed) {
        run_until_requested(&mut joined, &vcpu)?;
        done.store(wanted.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    Ok(())
}

/// vCPUs that are made, join, come out once for a request, leave and are destroyed.
fn passing(vcpus: &Vcpus, over: &AtomicBool) -> Result<u64> {
    let mut passed = 0;
    while !over.load(Ordering::Relaxed) {
        let vcpu = OwnVcpu::new()?;
        let mut joined = vcpus.join(vcpu.id)?;
        // Every fourth is in the guest until somebody else asks.
        if passed % 4 > 0 || over.load(Ordering::Relaxed) {
            vcpus.exit()?;
        }
        run_until_requested(&mut joined, &vcpu)?;
        drop(joined);
        passed += 1;
    }
    Ok(passed)
}

#[test]
fn vcpus_come_and_go_while_others_ask_them_to_exit() -> Result<()> {
    const ROUNDS: u64 = 3000;
    let (framework, vcpus) = (Framework::new(), Vcpus::new());
    let (wanted, done, over) =
        (AtomicU64::new(0), [AtomicU64::new(AWAY), AtomicU64::new(AWAY)], AtomicBool::new(false));
    let joined = |thread: thread::ScopedJoinHandle<'_, Result<u64>>| {
        thread.join().map_err(|_| anyhow!("a thread panicked"))?
    };
    let passed = thread::scope(|scope| {
        let (vcpus, wanted, over) = (&vcpus, &wanted, &over);
        let stay =
            done.each_ref().map(|done| scope.spawn(move || staying(vcpus, wanted, done, over).map(|()| 0)));
        let pass = [(); 2].map(|()| scope.spawn(move || passing(vcpus, over)));
        let asked = ask(ROUNDS, vcpus, wanted, &done);
        over.store(true, Ordering::Relaxed);
        let last = vcpus.exit();
        let counts: Result<Vec<u64>> = stay.into_iter().chain(pass).map(joined).collect();
        asked.and(last.map_err(Into::into)).and(counts).map(|counts| counts.iter().sum::<u64>())
    })?;
    ensure!(vcpus.joined() == 0, "all have left");
    let calls = framework.calls();
    ensure!(calls.iter().all(|call| call.returned == 0), "none was asked for that had left");
    let (mut asked, mut ran) = (0, 0);
    for (vcpu, counts) in asked_and_ran(&calls) {
        ensure!(counts.0 <= counts.1, "vCPU {vcpu} was asked {} times in {} runs", counts.0, counts.1);
        (asked, ran) = (asked + counts.0, ran + counts.1);
    }
    println!("{ROUNDS} requests beside {passed} vCPUs that passed: {asked} asked to exit in {ran} runs");
    Ok(())
}

/// Asks `rounds` times, and each time waits until both vCPUs that stay have come out for it.
fn ask(rounds: u64, vcpus: &Vcpus, wanted: &AtomicU64, done: &[AtomicU64; 2]) -> Result<()> {
    let all = |at_least| done.iter().all(|done| (at_least..AWAY).contains(&done.load(Ordering::Relaxed)));
    eventually("both join", || all(0));
    for round in 1..=rounds {
        wanted.store(round, Ordering::Relaxed);
        vcpus.exit()?;
        eventually(&format!("request {round} is seen"), || all(round));
    }
    Ok(())
}

/// Two flows, each with a worker that nudges for every frame, and one vCPU: what the requests cost does not grow with them
/// (known failure 21).
#[test]
fn two_flows_ask_no_more_often_than_the_vcpu_comes_back() -> Result<()> {
    const RAISES: usize = 20_000;
    let (framework, vcpus, over) = (Framework::new(), Vcpus::new(), AtomicBool::new(false));
    let machine = HvfHypervisor::new(rig::memory(&MockMemory::heap(&[1 << 16]))?, vcpus.clone());
    thread::scope(|scope| {
        let vcpu = scope.spawn(|| -> Result<u64> {
            let vcpu = OwnVcpu::new()?;
            let mut joined = vcpus.join(vcpu.id)?;
            let mut came_out = 0;
            while !over.load(Ordering::Relaxed) {
                run_until_requested(&mut joined, &vcpu)?;
                came_out += 1;
            }
            Ok(came_out)
        });
        eventually("it joins", || vcpus.joined() == 1);
        let flows = [(); 2].map(|()| {
            scope.spawn(|| -> Result<()> {
                let mut line = Nudging::new(machine.irq_line(IRQ)?, vcpus.clone());
                (0..RAISES).try_for_each(|_| Ok(line.raise()?))
            })
        });
        for flow in flows {
            flow.join().map_err(|_| anyhow!("a flow panicked"))??;
        }
        over.store(true, Ordering::Relaxed);
        vcpus.exit()?;
        let came_out = vcpu.join().map_err(|_| anyhow!("the vCPU's thread panicked"))??;
        let asked = framework.count("hv_vcpus_exit") as u64;
        println!("{} interrupts of two flows: {asked} exits asked for, {came_out} times out", 2 * RAISES);
        ensure!(asked <= came_out, "{asked} for {came_out}");
        Ok(())
    })
}
