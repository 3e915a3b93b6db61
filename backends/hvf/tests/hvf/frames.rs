//! Frames through channel, worker and SPI to a driver that sleeps on the interrupt: every one arrives, in order, whole.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use crossbeam_channel::{Sender, bounded};
use netrx::{EngineConfig, Features, Hypervisor, IrqLine, RxConfig, RxWorkerSlot};
use netrx_channel::ChannelSource;
use netrx_hvf::{GuestMapping, HvfHypervisor, HvfMemory, Nudging, Vcpus};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Shape, traffic};

use crate::framework::Framework;
use crate::rig::{self, IRQ, STUCK};

const FRAMES: u64 = 20_000;
/// How many frames are sent at once, in turn: alone, a few, and more than the ring and the channel hold.
const BURSTS: [u64; 9] = [1, 1, 2, 1, 7, 1, 64, 65, 700];

type Slot = RxWorkerSlot<HvfMemory, Box<dyn IrqLine>>;

#[test]
fn by_flags() -> Result<()> {
    arrive(&Framework::new(), Features::VERSION_1, Shape::single(2048), false)
}

#[test]
fn by_event_idx_over_merged_buffers() -> Result<()> {
    arrive(
        &Framework::new(),
        Features::VERSION_1 | Features::EVENT_IDX | Features::MRG_RXBUF,
        Shape::single(256),
        false,
    )
}

#[test]
fn by_a_line_that_nudges() -> Result<()> {
    arrive(&Framework::new(), Features::VERSION_1 | Features::EVENT_IDX, Shape::chained(&[64, 2048]), true)
}

/// On pages of 16 KiB, which are Apple silicon's.
#[test]
fn by_event_idx_on_larger_pages() -> Result<()> {
    let framework = Framework::new();
    framework.set_page(1 << 14);
    arrive(&framework, Features::VERSION_1 | Features::EVENT_IDX, Shape::single(2048), false)
}

fn arrive(framework: &Framework, features: Features, shape: Shape, nudging: bool) -> Result<()> {
    let mock = MockMemory::heap(&[1 << 20, 1 << 20]);
    let memory = rig::memory(&mock)?;
    let _shown = GuestMapping::map(&memory)?;
    let machine = HvfHypervisor::new(memory, Vcpus::new());
    let mut driver = FakeDriver::new(&mock, DriverConfig::new(128, features, shape))?;
    let slot = Arc::new(Slot::new("hvf-rx"));
    slot.deposit_memory(machine.memory());
    let line = machine.irq_line(IRQ)?;
    slot.deposit_irq(if nudging { Box::new(Nudging::new(line, Vcpus::new())) } else { Box::new(line) });
    let (frames, receiver) = bounded(256);
    slot.offer_source(0, ChannelSource::new(receiver));
    let ring = driver.ring_config();
    slot.driver_ok(RxConfig { ring, features, engine: EngineConfig::default(), restored: false })?;

    let sender = std::thread::spawn(move || send(&frames));
    let interrupts = receive(framework, &slot, &mut driver)?;
    sender.join().map_err(|_| anyhow!("the sender panicked"))??;
    let stats = slot.stop()?.context("a worker ran")?.report.stats;
    println!("{FRAMES} frames, {} interrupts, {interrupts} slept for", stats.irqs_raised);
    ensure!(stats.frames_delivered == FRAMES, "{stats:?}");
    ensure!(framework.spi(IRQ.0).edges == stats.irqs_raised, "each is one call");
    ensure!(stats.irqs_raised < FRAMES, "bursts share an interrupt");
    Ok(driver.audit()?)
}

/// Sends the frames, burst by burst; a full channel makes it wait.
fn send(frames: &Sender<Vec<u8>>) -> Result<()> {
    let mut bursts: VecDeque<u64> = BURSTS.into();
    let mut left = 0;
    for number in 0..FRAMES {
        if left == 0 {
            bursts.rotate_left(1);
            left = bursts[0];
            std::thread::yield_now();
        }
        left -= 1;
        let frame = traffic::frame(number, 22 + (number * 7919 % 1400) as usize);
        frames.send_timeout(frame, STUCK)?;
    }
    Ok(())
}

/// Is the guest: takes what is there, posts the buffers again, and sleeps on the interrupt when there is nothing.
fn receive(framework: &Framework, slot: &Slot, driver: &mut FakeDriver) -> Result<u64> {
    let (mut next, mut seen, mut slept) = (0, 0, 0);
    loop {
        if driver.post(usize::MAX).kick {
            slot.kick();
        }
        driver.ignore_interrupts();
        for frame in driver.drain_frames()? {
            ensure!(traffic::number(&frame) == Some(next), "frame {next} is whole and in its place");
            next += 1;
        }
        if next == FRAMES {
            return Ok(slept);
        }
        if driver.free() == 0 && !driver.want_interrupt() {
            let before = seen;
            seen = framework.wait_edges(IRQ.0, before, STUCK);
            ensure!(seen > before, "frame {next} is there and nobody was told, or it does not come");
            slept += 1;
        }
    }
}
