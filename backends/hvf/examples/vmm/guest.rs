//! The guest on the stand-in: a driver that finds the card, sets its receive queue up, and prints what it receives.

use std::io::{Write, stdout};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use netrx::mem::{GuestArray, Translator, Word};
use netrx::ring::{Cursor, RingConfig};
use netrx::spec::mmio::{DEVICE_NET, MAGIC, Register};
use netrx::spec::ring::DESC_WRITE;
use netrx::{Features, Gpa};
use netrx_hvf::HvfMemory;
use netrx_mock::registers;

use crate::card::{AT, IRQ};
use crate::framework::{Cpu, Off};
use crate::vmm::{FRAMES, RAM};

/// Descriptors of the queue, each with a buffer.
const SIZE: u16 = 4;
const BUFFER: u32 = 2048;
/// Bytes in front of a frame.
const HEADER: usize = 12;
/// Where the parts of the queue are, in bytes from the beginning of RAM.
const DESC: u64 = 0x10_0000;
const AVAIL: u64 = 0x10_1000;
const USED: u64 = 0x10_2000;
const BUFFERS: u64 = 0x11_0000;

/// Its program.
pub(crate) fn program(memory: HvfMemory) -> impl FnOnce(&Cpu) -> Result<(), Off> {
    move |cpu| Driver { cpu, memory: &memory, posted: 0, taken: 0 }.run()
}

struct Driver<'m> {
    cpu: &'m Cpu,
    memory: &'m HvfMemory,
    posted: u16,
    taken: u16,
}

impl Driver<'_> {
    fn run(mut self) -> Result<(), Off> {
        if (self.read(Register::MagicValue)?, self.read(Register::DeviceId)?) != (MAGIC, DEVICE_NET) {
            say("there is no card");
            return Ok(());
        }
        self.start()?;
        (0..SIZE).try_for_each(|head| self.post(head))?;
        while usize::from(self.taken) < FRAMES.len() {
            // One way and the other: whether WFI traps is the framework's business.
            match self.taken {
                0 => self.cpu.wait_high_trapped(IRQ.0)?,
                _ => self.cpu.wait_high(IRQ.0)?,
            }
            let why = self.read(Register::InterruptStatus)?;
            self.write(Register::InterruptAck, why)?;
            self.take_all()?;
        }
        Ok(())
    }

    /// Negotiates, and sets the receive queue up.
    fn start(&self) -> Result<(), Off> {
        let at = |offset: u64| Gpa(RAM.0 + offset);
        let (desc, avail, used) = (at(DESC), at(AVAIL), at(USED));
        let ring = RingConfig { size: SIZE, desc, avail, used, start: Cursor::default() };
        let writes = registers::bring_up(Features::VERSION_1, &[(0, ring)]);
        writes.into_iter().try_for_each(|(register, value)| self.write(register, value))
    }

    /// Gives a buffer to the card.
    fn post(&mut self, head: u16) -> Result<(), Off> {
        let number = usize::from(head);
        self.words::<u64>(DESC, 8).store(2 * number, self.buffer(head).0, Relaxed);
        self.words::<u32>(DESC, 16).store(4 * number + 2, BUFFER, Relaxed);
        self.words::<u16>(DESC, 32).store(8 * number + 6, DESC_WRITE, Relaxed);
        let (slot, next) = (usize::from(self.posted % SIZE), self.posted.wrapping_add(1));
        let avail = self.words::<u16>(AVAIL, 6);
        avail.store(2 + slot, head, Relaxed);
        avail.store(1, next, Release);
        self.posted = next;
        self.write(Register::QueueNotify, 0)
    }

    /// Takes what was received, and gives the buffers back.
    fn take_all(&mut self) -> Result<(), Off> {
        while self.words::<u16>(USED, 2).load(1, Acquire) != self.taken {
            let entry = 1 + 2 * usize::from(self.taken % SIZE);
            let used = self.words::<u32>(USED, 9);
            let (head, len) = (used.load(entry, Relaxed) as u16, used.load(entry + 1, Relaxed));
            let mut bytes = vec![0; len as usize];
            if Translator::new(self.memory).read(self.buffer(head), &mut bytes).is_ok() {
                say(&String::from_utf8_lossy(&bytes[HEADER..]));
            }
            self.taken += 1;
            self.post(head)?;
        }
        Ok(())
    }

    fn buffer(&self, head: u16) -> Gpa {
        Gpa(RAM.0 + BUFFERS + u64::from(BUFFER) * u64::from(head))
    }

    fn words<T: Word>(&self, offset: u64, len: usize) -> GuestArray<'_, T> {
        GuestArray::new(&mut Translator::new(self.memory), Gpa(RAM.0 + offset), len).unwrap_or_default()
    }

    fn read(&self, register: Register) -> Result<u32, Off> {
        self.cpu.read(AT + register as u64)
    }

    fn write(&self, register: Register, value: u32) -> Result<(), Off> {
        self.cpu.write(AT + register as u64, value)
    }
}

/// The guest has a screen of its own, and goes on without it.
fn say(text: &str) {
    let _ = writeln!(stdout(), "guest: {text}");
}
