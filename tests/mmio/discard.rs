//! A card for which nobody sends: its driver gets back what it transmits.

use std::error::Error;
use std::sync::{Arc, Weak};

use netrx::mmio::{Discard, MmioError};
use netrx::spec::mmio::interrupt::{CONFIG, USED};
use netrx::spec::mmio::{Register, status};
use netrx::spec::ring::DESC_WRITE;
use netrx::{Features, Gpa, IrqError, LevelLine, MmioDevice, NetConfig};
use netrx_mock::registers::{LIVE, bring_up};
use netrx_mock::{DriverConfig, FakeDriver, LevelProbe, MockLevel, MockMemory, Shape};
use netrx_oracle::Image;

use super::rig::MAC;
use super::{Tested, eventually};

const TRANSMIT: u32 = 1;
const SIZE: u16 = 8;
/// Where frames lie, well behind the ring.
const DATA: Gpa = Gpa(0x4004_0000);

/// A line that tells by its second part whether anybody still has it.
struct Owned(MockLevel, #[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl LevelLine for Owned {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        self.0.set(high)
    }
}

/// A card with a transmit queue alone.
struct Silent {
    card: MmioDevice<MockMemory, Owned>,
    line: Weak<()>,
    memory: MockMemory,
    driver: FakeDriver,
    probe: LevelProbe,
}

impl Silent {
    fn new() -> Result<Self, Box<dyn Error>> {
        let memory = MockMemory::heap(&[1 << 20]);
        let ((line, probe), owner) = (MockLevel::new(), Arc::new(()));
        let (weak, line) = (Arc::downgrade(&owner), Owned(line, owner));
        let config = NetConfig::new(MAC);
        let card = MmioDevice::new("mmio-silent", &config, memory.clone(), line, Discard::default())?;
        Ok(Self { card, line: weak, driver: driver(&memory, Features::VERSION_1)?, memory, probe })
    }

    /// A driver that begins anew, and makes `early` frames available before it is ready.
    fn start(&mut self, features: Features, early: u16) -> Tested {
        self.driver = driver(&self.memory, features)?;
        (0..early).for_each(|head| self.offer(head, 0));
        let writes = bring_up(features, &[(TRANSMIT, self.driver.ring_config())]);
        Ok(writes.into_iter().try_for_each(|(register, word)| self.write(register, word))?)
    }

    fn write(&self, register: Register, word: u32) -> Result<(), MmioError> {
        self.card.write(register as u64, &word.to_le_bytes())
    }

    fn read(&self, register: Register) -> u32 {
        let mut word = [0xff; 4];
        self.card.read(register as u64, &mut word);
        u32::from_le_bytes(word)
    }

    /// Makes a chain of one buffer available.
    fn offer(&mut self, head: u16, flags: u16) {
        self.driver.hostile().descriptor(head, DATA, 72, flags, 0).offer(head);
    }

    /// The heads that come back, all unwritten, until it is `count`.
    fn back(&mut self, count: usize) -> Vec<u32> {
        let mut heads = Vec::new();
        eventually("they come back", || {
            let used = self.driver.hostile().used();
            heads.extend(used.into_iter().filter(|(_, len)| *len == 0).map(|(head, _)| head));
            heads.len() >= count
        });
        heads
    }
}

fn driver(memory: &MockMemory, features: Features) -> Result<FakeDriver, Box<dyn Error>> {
    Ok(FakeDriver::new(memory, DriverConfig::new(SIZE, features, Shape::single(16)))?)
}

/// Many times more frames than the queue holds, one of them wrong; those before `DRIVER_OK`, too. The driver is interrupted where
/// it asks for that, and kicks where it is asked to.
#[test]
fn what_the_guest_transmits_comes_back() -> Tested {
    let mut silent = Silent::new()?;
    for features in [Features::VERSION_1, Features::VERSION_1 | Features::EVENT_IDX] {
        silent.start(features, 3)?;
        assert_eq!(silent.back(3), [0, 1, 2]);
        for round in 0..200 {
            silent.driver.want_interrupt();
            silent.write(Register::InterruptAck, USED)?;
            for head in 0..SIZE {
                silent.offer(head, if head == round % 16 { DESC_WRITE } else { 0 });
                silent.write(Register::QueueNotify, TRANSMIT)?;
            }
            eventually("the driver is told", || silent.probe.is_high());
            assert_eq!(silent.back(SIZE.into()), [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        silent.write(Register::Status, 0)?;
    }
    Ok(())
}

/// Once the write of 0 returns nobody touches the queue; the next driver finds all in order. Nothing outlives the card.
#[test]
fn it_ends_with_a_reset_and_starts_again() -> Tested {
    let mut silent = Silent::new()?;
    for round in 0..50 {
        silent.start(Features::VERSION_1, SIZE)?;
        silent.back(if round % 2 == 0 { 0 } else { 8 });
        silent.write(Register::Status, 0)?;
        let image = Image::of(&silent.memory);
        silent.write(Register::QueueNotify, TRANSMIT)?;
        std::thread::yield_now();
        assert_eq!((image.first_difference(&silent.memory), silent.probe.is_high()), (None, false));
    }
    silent.start(Features::VERSION_1, 0)?;
    drop(silent.card);
    assert_eq!(silent.line.strong_count(), 0);
    Ok(())
}

#[test]
fn a_broken_queue_needs_a_reset() -> Tested {
    let mut silent = Silent::new()?;
    silent.start(Features::VERSION_1, 0)?;
    silent.driver.hostile().avail_index(SIZE + 1);
    silent.write(Register::QueueNotify, TRANSMIT)?;
    eventually("the line rises", || silent.probe.is_high());
    let found = (silent.read(Register::Status), silent.read(Register::InterruptStatus));
    assert_eq!(found, (LIVE | status::NEEDS_RESET, CONFIG));
    silent.write(Register::Status, 0)?;
    silent.start(Features::VERSION_1, 2)?;
    assert_eq!(silent.back(2), [0, 1]);
    Ok(())
}

/// The line is busy for longer than anybody insists, and breaks later.
#[test]
fn the_driver_is_told_when_the_line_takes_it() -> Tested {
    let mut silent = Silent::new()?;
    silent.start(Features::VERSION_1, 0)?;
    silent.driver.want_interrupt();
    silent.probe.fail((0..1500).map(|_| IrqError::Busy));
    silent.offer(0, 0);
    silent.write(Register::QueueNotify, TRANSMIT)?;
    eventually("the driver is told", || silent.probe.is_high());
    assert_eq!((silent.back(1), silent.read(Register::InterruptStatus)), (vec![0], USED));
    silent.write(Register::InterruptAck, USED)?;
    silent.probe.fail([IrqError::Failed("it is cut".into())]);
    silent.offer(1, 0);
    silent.write(Register::QueueNotify, TRANSMIT)?;
    eventually("it needs a reset", || silent.read(Register::Status) & status::NEEDS_RESET != 0);
    Ok(())
}
