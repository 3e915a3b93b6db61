//! The level line behind a card's registers: raised, acknowledged, raised again (known failure 22).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use netrx::mmio::MmioError;
use netrx::spec::mmio::Register;
use netrx::spec::mmio::interrupt::{CONFIG, USED};
use netrx::{Hypervisor, IrqError, IrqLine, MmioDevice};
use netrx_hvf::{HvfHypervisor, HvfMemory, LevelPin, Vcpus};
use netrx_mock::MockMemory;

use crate::framework::{Framework, Spi};
use crate::rig::{self, IRQ, STUCK};

type Card = MmioDevice<HvfMemory, LevelPin>;

fn card() -> Result<Card> {
    let machine = HvfHypervisor::new(rig::memory(&MockMemory::heap(&[1 << 16]))?, Vcpus::new());
    rig::card(machine.memory(), machine.level_pin(IRQ)?)
}

fn acknowledge(card: &Card, why: u32) -> Result<(), MmioError> {
    card.write(Register::InterruptAck as u64, &why.to_le_bytes())
}

fn status(card: &Card) -> u32 {
    let mut word = [0; 4];
    card.read(Register::InterruptStatus as u64, &mut word);
    u32::from_le_bytes(word)
}

#[test]
fn it_is_high_until_the_last_cause_is_acknowledged() -> Result<()> {
    let (framework, card) = (Framework::new(), card()?);
    let low = |edges| Spi { high: false, edges };
    ensure!(framework.spi(IRQ.0) == low(0), "it begins low");
    card.irq().raise()?;
    card.irq().raise()?;
    card.irq().needs_reset()?;
    ensure!(framework.spi(IRQ.0) == Spi { high: true, edges: 1 }, "one call for all of them");
    ensure!(status(&card) == USED | CONFIG);
    acknowledge(&card, USED)?;
    ensure!(framework.spi(IRQ.0).high, "a cause is left");
    acknowledge(&card, CONFIG)?;
    ensure!(framework.spi(IRQ.0) == low(1));
    acknowledge(&card, USED | CONFIG)?;
    card.irq().raise()?;
    ensure!(framework.spi(IRQ.0) == Spi { high: true, edges: 2 });
    drop(card);
    ensure!(framework.spi(IRQ.0) == low(2), "a card that is gone interrupts nobody");
    Ok(())
}

#[test]
fn a_busy_interrupt_is_still_owed() -> Result<()> {
    let (framework, card) = (Framework::new(), card()?);
    framework.fail("hv_gic_set_spi", 0xfae9_4002, 1);
    ensure!(matches!(card.irq().raise(), Err(IrqError::Busy)) && !framework.spi(IRQ.0).high);
    card.irq().raise()?;
    ensure!(framework.spi(IRQ.0).high, "the same call succeeds later");
    Ok(())
}

#[test]
fn it_follows_the_register_while_two_sides_change_it() -> Result<()> {
    const RAISES: u32 = 2000;
    let (framework, card, over) = (Framework::new(), card()?, AtomicBool::new(false));
    let taken = thread::scope(|scope| {
        let device = scope.spawn(|| {
            let raised = (0..RAISES).try_for_each(|_| {
                thread::yield_now();
                card.irq().raise()
            });
            over.store(true, Ordering::Release);
            raised
        });
        let mut taken = 0;
        let mut begin = Instant::now();
        while !over.load(Ordering::Acquire) || framework.spi(IRQ.0).high {
            ensure!(begin.elapsed() < STUCK, "it stays high");
            thread::yield_now();
            if framework.spi(IRQ.0).high {
                // Without a cause, it was raised too late, and the other side is about to lower it.
                let why = status(&card);
                if why != 0 {
                    acknowledge(&card, why)?;
                    (taken, begin) = (taken + 1, Instant::now());
                }
            }
        }
        device.join().map_err(|_| anyhow!("it panicked"))??;
        Ok(taken)
    })?;
    ensure!(status(&card) == 0 && !framework.spi(IRQ.0).high);
    let rises = framework.spi(IRQ.0).edges;
    println!("{RAISES} raises, {rises} calls that raise, {taken} interrupts taken");
    // Each side looks again after its call, and calls again, or calls where the other may fail.
    ensure!(taken > 0 && taken <= RAISES && rises <= u64::from(2 * (RAISES + taken)));
    Ok(())
}
