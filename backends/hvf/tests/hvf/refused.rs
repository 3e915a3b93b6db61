//! Every error of every call: it has its name, the framework's, and where there is one a cure; and what was there before
//! still works.

use std::error::Error;

use anyhow::{Context, Result, ensure};
use netrx::worker::SlotError;
use netrx::{
    EngineConfig, Features, Hypervisor, HypervisorError, IrqError, IrqId, IrqLine, LevelLine, RxConfig,
    RxWorkerSlot,
};
use netrx_channel::ChannelSource;
use netrx_hvf::{GuestMapping, HvCode, HvfError, HvfHypervisor, Nudging, Ran, Vcpus};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Shape};

use crate::framework::Framework;
use crate::framework::gic::MSIS;
use crate::rig::{self, IRQ, OwnVcpu};

/// Each code, what it is, its name, and a word of its cure.
const CODES: [(u32, HvCode, &str, &str); 10] = [
    (0xfae9_4001, HvCode::Error, "HV_ERROR", ""),
    (0xfae9_4002, HvCode::Busy, "HV_BUSY", "later"),
    (0xfae9_4003, HvCode::BadArgument, "HV_BAD_ARGUMENT", ""),
    (0xfae9_4004, HvCode::IllegalGuestState, "HV_ILLEGAL_GUEST_STATE", ""),
    (0xfae9_4005, HvCode::NoResources, "HV_NO_RESOURCES", "short"),
    (0xfae9_4006, HvCode::NoDevice, "HV_NO_DEVICE", "hv_vm_create"),
    (0xfae9_4007, HvCode::Denied, "HV_DENIED", "com.apple.security.hypervisor"),
    (0xfae9_4008, HvCode::Fault, "HV_FAULT", ""),
    (0xfae9_400f, HvCode::Unsupported, "HV_UNSUPPORTED", "macOS 15"),
    (0x0bad_c0de, HvCode::Unknown(0x0bad_c0de), "0xbadc0de", "unknown"),
];

fn machine() -> Result<HvfHypervisor> {
    Ok(HvfHypervisor::new(rig::memory(&MockMemory::heap(&[1 << 16]))?, Vcpus::new()))
}

/// Lets a call fail with each code in turn, and checks what is said of it.
fn each(
    framework: &Framework,
    call: &'static str,
    times: usize,
    mut refused: impl FnMut(HvCode) -> Result<Box<dyn Error>>,
) -> Result<()> {
    for (number, code, name, cure) in CODES {
        framework.fail(call, number, times);
        let error = refused(code).with_context(|| format!("{call}, {name}"))?;
        let text = error.to_string();
        ensure!(text.contains(name) && text.contains(cure) && text.contains(call), "{name}: {text}");
        ensure!(error.source().is_some_and(<dyn Error>::is::<HvCode>), "{name}: {error:?}");
        framework.fail(call, number, 0);
    }
    Ok(())
}

#[test]
fn codes_have_their_names() {
    for (number, code, _, _) in CODES {
        assert_eq!(HvCode::check(number.cast_signed()), Err(code));
    }
    assert_eq!(HvCode::check(0), Ok(()));
}

#[test]
fn of_mapping() -> Result<()> {
    let (framework, memory) = (Framework::new(), rig::memory(&MockMemory::heap(&[1 << 16]))?);
    each(&framework, "hv_vm_map", 1, |code| match GuestMapping::map(&memory) {
        Err(error @ HvfError::Map { code: told, .. }) if told == code => Ok(error.into()),
        other => Err(anyhow::anyhow!("{other:?}")),
    })?;
    ensure!(GuestMapping::map(&memory).is_ok());
    Ok(())
}

#[test]
fn of_unmapping() -> Result<()> {
    let (framework, memory) = (Framework::new(), rig::memory(&MockMemory::heap(&[1 << 16]))?);
    for (number, ..) in CODES {
        let shown = GuestMapping::map(&memory)?;
        framework.fail("hv_vm_unmap", number, 1);
        drop(shown);
        ensure!(framework.mapped().len() == 1, "the guest still sees it");
        rig::unmap(framework.mapped()[0])?;
    }
    Ok(())
}

#[test]
fn of_asking_for_the_range() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    each(&framework, "hv_gic_get_spi_interrupt_range", 1, |code| match machine.level_pin(IRQ) {
        Err(error @ HvfError::Call { code: told, .. }) if told == code => Ok(error.into()),
        other => Err(anyhow::anyhow!("{other:?}")),
    })?;
    ensure!(machine.level_pin(IRQ).is_ok());
    Ok(())
}

#[test]
fn of_making_a_line() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    for (number, code, name, _) in CODES {
        framework.fail("hv_gic_set_spi", number, 1);
        match (machine.level_pin(IRQ), code) {
            (Err(HvfError::NoSuchIrq(IRQ)), HvCode::BadArgument) => {}
            (Err(HvfError::Call { call: "hv_gic_set_spi", code: told }), _) if told == code => {}
            (other, _) => anyhow::bail!("{name}: {other:?}"),
        }
    }
    Ok(())
}

/// The backend's error inside of a line's.
fn inside(raised: Result<(), IrqError>) -> Result<Box<dyn Error>> {
    match raised {
        Err(IrqError::Failed(error)) => Ok(error),
        other => Err(anyhow::anyhow!("{other:?}")),
    }
}

/// A busy line is busy, a broken one is broken; neither changes the interrupt.
fn of_a_line(raise: &mut dyn FnMut() -> Result<(), IrqError>, framework: &Framework) -> Result<()> {
    let before = framework.spi(IRQ.0);
    framework.fail("hv_gic_set_spi", CODES[1].0, 1);
    ensure!(matches!(raise(), Err(IrqError::Busy)));
    for (number, _, name, cure) in CODES.into_iter().filter(|(_, code, ..)| *code != HvCode::Busy) {
        framework.fail("hv_gic_set_spi", number, 1);
        let text = inside(raise())?.to_string();
        ensure!(text.contains("hv_gic_set_spi") && text.contains(name) && text.contains(cure), "{text}");
    }
    ensure!(framework.spi(IRQ.0) == before);
    raise()?;
    ensure!(framework.spi(IRQ.0).high);
    Ok(())
}

#[test]
fn of_raising() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    let mut edge = machine.irq_line(IRQ)?;
    of_a_line(&mut || edge.raise(), &framework)?;
    let level = machine.level_pin(IRQ)?;
    of_a_line(&mut || level.set(true), &framework)
}

#[test]
fn of_lowering() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    let line = machine.level_pin(IRQ)?;
    line.set(true)?;
    framework.fail("hv_gic_set_spi", CODES[1].0, 900);
    ensure!(line.set(false).is_ok() && !framework.spi(IRQ.0).high, "a busy GIC is asked again");
    line.set(true)?;
    for (number, _, name, _) in CODES {
        framework.fail("hv_gic_set_spi", number, 1000);
        let text = inside(line.set(false))?.to_string();
        ensure!(text.contains(name), "{text}");
        ensure!(framework.spi(IRQ.0).high, "it is as it was");
    }
    framework.fail("hv_gic_set_spi", 0, 0);
    Ok(line.set(false)?)
}

#[test]
fn of_making_a_vcpu_exit() -> Result<()> {
    let (framework, vcpus) = (Framework::new(), Vcpus::new());
    let vcpu = OwnVcpu::new()?;
    let mut joined = vcpus.join(vcpu.id)?;
    // Each is tried twice: with all that are inside, and alone.
    let refused = joined.run(|| {
        each(&framework, "hv_vcpus_exit", 2, |code| match vcpus.exit() {
            Err(error @ HvfError::Exit { code: told, vcpu: 0 }) if told == code => Ok(error.into()),
            other => Err(anyhow::anyhow!("{other:?}")),
        })
    });
    ensure!(matches!(refused, Ran::Exited(Ok(()))), "{refused:?}");
    ensure!(matches!(joined.run(|| ()), Ran::Exited(())), "what was refused was not requested");
    Ok(())
}

#[test]
fn of_nudging() -> Result<()> {
    let (framework, vcpus, machine) = (Framework::new(), Vcpus::new(), machine()?);
    let vcpu = OwnVcpu::new()?;
    let mut joined = vcpus.join(vcpu.id)?;
    let mut edge = Nudging::new(machine.irq_line(IRQ)?, vcpus.clone());
    let level = Nudging::new(machine.level_pin(IRQ)?, vcpus.clone());
    let raised = joined.run(|| {
        framework.fail("hv_vcpus_exit", CODES[1].0, 2);
        let busy = edge.raise();
        framework.fail("hv_vcpus_exit", CODES[6].0, 2);
        let denied = level.set(true);
        (busy, denied, framework.spi(IRQ.0).high)
    });
    ensure!(
        matches!(raised, Ran::Exited((Err(IrqError::Busy), Err(IrqError::Failed(_)), true))),
        "the line is high, and who raised it is told that nobody was nudged: {raised:?}"
    );
    Ok(())
}

#[test]
fn there_is_no_interrupt_beside_the_spis() -> Result<()> {
    let (framework, machine) = (Framework::new(), machine()?);
    for irq in [0, 31, MSIS.start, MSIS.end - 1, 1020, 4096, u32::MAX].map(IrqId) {
        let edge = machine.irq_line(irq);
        ensure!(matches!(edge, Err(HypervisorError::NoSuchIrq(missing)) if missing == irq));
        let level = machine.level_pin(irq);
        ensure!(matches!(level, Err(HvfError::NoSuchIrq(missing)) if missing == irq));
    }
    let set = framework.calls().into_iter().filter(|call| call.name == "hv_gic_set_spi");
    ensure!(
        set.map(|call| call.args[0]).all(|number| MSIS.contains(&(number as u32))),
        "others are not tried"
    );
    Ok(())
}

#[test]
fn without_a_vm_there_is_neither_memory_nor_interrupt() -> Result<()> {
    let (_framework, machine) = (Framework::bare(), machine()?);
    let shown = GuestMapping::map(&machine.memory());
    ensure!(matches!(shown, Err(HvfError::Map { code: HvCode::NoDevice, .. })));
    let line = machine.irq_line(IRQ).map_err(|error| error.to_string());
    ensure!(matches!(&line, Err(text) if text.contains("hv_gic_create")), "{line:?}");
    Ok(())
}

#[test]
fn a_line_that_is_refused_leaves_the_parts_in_the_slot() -> Result<()> {
    let (framework, mock) = (Framework::new(), MockMemory::heap(&[1 << 20]));
    let machine = HvfHypervisor::new(rig::memory(&mock)?, Vcpus::new());
    let driver = FakeDriver::new(&mock, DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))?;
    let slot = RxWorkerSlot::new("refused");
    framework.fail("hv_gic_get_spi_interrupt_range", CODES[8].0, 1);
    ensure!(slot.deposit_hypervisor(&machine, IRQ).is_err());
    let (_frames, receiver) = crossbeam_channel::unbounded::<Vec<u8>>();
    slot.offer_source(0, ChannelSource::new(receiver));
    let (ring, features) = (driver.ring_config(), driver.features());
    let config = RxConfig { ring, features, engine: EngineConfig::default(), restored: false };
    ensure!(matches!(slot.driver_ok(config), Err(SlotError::Missing(parts)) if parts.len() == 2));
    slot.deposit_hypervisor(&machine, IRQ)?;
    slot.driver_ok(config)?;
    ensure!(slot.stop()?.is_some());
    Ok(())
}
