//! The guest on the stand-in: a driver that finds the card, sets its receive queue up, and prints what it receives.

use std::fmt::Display;
use std::io::{Write, stdout};
use std::sync::Arc;

use netrx::Features;
use netrx::spec::mmio::{DEVICE_NET, MAGIC, Register};
use netrx_hvf::HvfMemory;
use netrx_mock::{DriverConfig, DriverError, FakeDriver, MockMemory, Shape, Taken, registers};

use crate::card::{AT, IRQ};
use crate::framework::{Cpu, Off};
use crate::vmm::{FRAMES, RAM, RAM_LEN};

/// Descriptors of the queue, each with a buffer.
const SIZE: u16 = 4;
const BUFFER: u32 = 2048;

/// Its program.
pub(crate) fn program(memory: HvfMemory) -> Result<impl FnOnce(&Cpu) -> Result<(), Off>, DriverError> {
    let memory = MockMemory::over(Arc::new(memory), &[(RAM, RAM_LEN)]);
    let config = DriverConfig::new(SIZE, Features::VERSION_1, Shape::single(BUFFER));
    let driver = FakeDriver::new(&memory, config)?;
    Ok(|cpu: &Cpu| Guest { cpu, driver }.run())
}

struct Guest<'c> {
    cpu: &'c Cpu,
    driver: FakeDriver,
}

impl Guest<'_> {
    fn run(mut self) -> Result<(), Off> {
        if (self.read(Register::MagicValue)?, self.read(Register::DeviceId)?) != (MAGIC, DEVICE_NET) {
            say("there is no card");
            return Ok(());
        }
        let writes = registers::bring_up(self.driver.features(), &[(0, self.driver.ring_config())]);
        writes.into_iter().try_for_each(|(register, value)| self.write(register, value))?;
        // So that it sleeps at least twice.
        self.post(1)?;
        let mut taken = 0;
        while taken < FRAMES.len() {
            // One way and the other: whether WFI traps is the framework's business.
            match taken {
                0 => self.cpu.wait_high_trapped(IRQ.0)?,
                _ => self.cpu.wait_high(IRQ.0)?,
            }
            let why = self.read(Register::InterruptStatus)?;
            self.write(Register::InterruptAck, why)?;
            let print = |taken: &Taken| say(String::from_utf8_lossy(&taken.frame));
            match self.driver.drain(&mut Taken::default(), print) {
                Ok(frames) => taken += frames,
                Err(violation) => return self.give_up(violation),
            }
            self.post(usize::MAX)?;
        }
        self.driver.audit().or_else(|trespass| self.give_up(trespass))
    }

    /// Gives buffers to the card, up to so many.
    fn post(&mut self, buffers: usize) -> Result<(), Off> {
        if self.driver.post(buffers).kick { self.write(Register::QueueNotify, 0) } else { Ok(()) }
    }

    /// Resets the card, which is not as cards are.
    fn give_up(&self, why: impl Display) -> Result<(), Off> {
        say(why);
        self.write(Register::Status, 0)
    }

    fn read(&self, register: Register) -> Result<u32, Off> {
        self.cpu.read(AT + register as u64)
    }

    fn write(&self, register: Register, value: u32) -> Result<(), Off> {
        self.cpu.write(AT + register as u64, value)
    }
}

/// The guest has a screen of its own, and goes on without it.
fn say(what: impl Display) {
    let _ = writeln!(stdout(), "guest: {what}");
}
