//! Arbitrary accesses to a virtio-mmio card's registers, with its worker and traffic running.
//!
//! ```text
//! features 1 | steps: what 1, ...
//! ```
//!
//! The receive queue is a fake driver's, in the lower half of the memory; the transmit queue is whatever the input makes of the
//! upper half. As long as the guest has written neither into the lower half nor registers by itself, it must get every
//! frame once, whole, and in order. Whatever it does, a reset must leave a card that is as new and touches nothing.

use std::sync::{Mutex, PoisonError};

use netrx::mmio::{MmioIrq, Transmit};
use netrx::ring::{Cursor, RingConfig, TxReader};
use netrx::spec::mmio::{Register, interrupt, status};
use netrx::{Features, Gpa, IrqError, IrqLine, MmioDevice, NetConfig};
use netrx_mock::registers::{LIVE, bring_up};
use netrx_mock::{
    DriverConfig, FakeDriver, LevelProbe, MockLevel, MockMemory, Script, ScriptedSource, Shape, traffic,
};

use super::arena::Arena;
use super::input::Input;
use crate::Image;

const LEN: usize = 0x8000;
const HALF: u64 = LEN as u64 / 2;
/// Where the mock has its region.
const START: u64 = 0x4000_0000;
const RECEIVE: u32 = 0;
const TRANSMIT: u32 = 1;
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

thread_local! {
    static ARENA: Arena = Arena::new(&[LEN]);
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    ARENA.with(|arena| {
        let mut input = Input::new(input);
        let features = input.ring_features() | Features::VERSION_1;
        let Some(mut game) = Game::new(arena.fresh(), features) else { return };
        for _ in 0..64 {
            if input.is_empty() {
                break;
            }
            game.step(&mut input);
        }
        game.reset();
    });
}

struct Game {
    device: MmioDevice<MockMemory, MockLevel>,
    memory: MockMemory,
    features: Features,
    pin: LevelProbe,
    script: Script,
    driver: FakeDriver,
    /// Whether the driver's ring is still as the driver made it, and nothing else was set up.
    honest: bool,
    sent: u64,
    taken: u64,
}

impl Game {
    fn new(memory: &MockMemory, features: Features) -> Option<Self> {
        let (line, pin) = MockLevel::new();
        let (source, script) = ScriptedSource::new();
        let device =
            MmioDevice::new("fuzz", &NetConfig::new(MAC), memory.clone(), line, Sender::default()).ok()?;
        device.slot().offer_source(0, source);
        let driver = driver(memory, features)?;
        let memory = memory.clone();
        Some(Self { device, memory, features, pin, script, driver, honest: true, sent: 0, taken: 0 })
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 12 {
            0 => self.write_any(input),
            1 => self.write_wrongly(input),
            2 => self.read_any(input),
            3 => self.bring_up(false),
            4 => self.bring_up(true),
            5 => self.post(input.byte()),
            6 => self.send(input.byte()),
            7 => self.acknowledge(),
            8 => self.take(),
            9 => self.write_memory(input),
            10 => self.reset(),
            _ => assert!(self.device.set_link(input.byte().is_multiple_of(2)).is_ok(), "the line works"),
        }
    }

    fn write(&self, register: Register, word: u32) {
        let written = self.device.write(register as u64, &word.to_le_bytes());
        assert!(written.is_ok(), "{register:?} <- {word:#x}: {written:?}");
    }

    fn read(&self, register: Register) -> u32 {
        let mut word = [0xff; 4];
        self.device.read(register as u64, &mut word);
        u32::from_le_bytes(word)
    }

    /// A register, and a word for it that is more often a small one or an address than anything else.
    fn write_any(&mut self, input: &mut Input<'_>) {
        let registers = Register::ALL;
        let register = registers[usize::from(input.byte()) % registers.len()];
        let word = match input.byte() % 4 {
            0 => u32::from(input.byte()),
            1 => START as u32 + u32::from(input.word() & 0xfff0),
            2 => self.read(Register::Status) | 1 << (input.byte() % 32),
            _ => input.quad() as u32,
        };
        if register == Register::Status && word == 0 {
            return self.reset();
        }
        // Only a few registers change nothing of what an honest driver has set up.
        self.honest &= matches!(
            register,
            Register::QueueNotify | Register::InterruptAck | Register::DeviceFeaturesSel | Register::ShmSel
        );
        self.write(register, word);
    }

    /// A write that is no word at a register's place has no effect.
    fn write_wrongly(&self, input: &mut Input<'_>) {
        let (offset, width) = (u64::from(input.word()) % 0x210, usize::from(input.byte() % 9));
        if width == 4 && Register::at(offset).is_some() {
            return;
        }
        let before = self.read(Register::Status);
        let data = [input.byte(); 8];
        assert!(self.device.write(offset, &data[..width]).is_ok());
        assert_eq!(self.read(Register::Status) & !status::NEEDS_RESET, before & !status::NEEDS_RESET);
    }

    fn read_any(&self, input: &mut Input<'_>) {
        let (offset, width) = (u64::from(input.word()) % 0x210, usize::from(input.byte() % 9));
        let mut data = [0xff; 8];
        self.device.read(offset, &mut data[..width]);
        let senseless = offset < 0x100 && (width != 4 || Register::at(offset).is_none());
        assert!(!senseless || data[..width].iter().all(|byte| *byte == 0), "{width} bytes at {offset:#x}");
        assert!(data[width..].iter().all(|byte| *byte == 0xff), "no more than was asked for");
    }

    /// A driver sets the receive queue up from the start, and the transmit queue too.
    fn bring_up(&mut self, transmit: bool) {
        self.reset();
        let at = |offset| Gpa(START + HALF + offset);
        let (desc, avail, used) = (at(0), at(0x100), at(0x200));
        let sending = RingConfig { size: 8, desc, avail, used, start: Cursor::default() };
        let queues = [(RECEIVE, self.driver.ring_config()), (TRANSMIT, sending)];
        let queues = if transmit { &queues[..] } else { &queues[..1] };
        bring_up(self.features, queues).into_iter().for_each(|(register, word)| self.write(register, word));
        assert_eq!(self.read(Register::Status) & !status::NEEDS_RESET, LIVE);
    }

    fn post(&mut self, chains: u8) {
        if self.driver.post(usize::from(chains % 16)).kick {
            self.write(Register::QueueNotify, RECEIVE);
        }
    }

    fn send(&mut self, longer: u8) {
        let frame = traffic::frame(self.sent, 60 + usize::from(longer));
        self.script.frame(frame);
        self.sent += 1;
    }

    fn acknowledge(&self) {
        let why = self.read(Register::InterruptStatus);
        assert_eq!(why & !(interrupt::USED | interrupt::CONFIG), 0);
        self.write(Register::InterruptAck, why);
    }

    /// The guest takes what it has, and looks at it as long as it has kept the rules.
    fn take(&mut self) {
        let frames = self.driver.drain_frames();
        if self.honest {
            assert!(frames.is_ok(), "{frames:?}");
            for frame in frames.into_iter().flatten() {
                assert_eq!(traffic::number(&frame), Some(self.taken), "in order, whole, none left out");
                self.taken += 1;
            }
        }
    }

    fn write_memory(&mut self, input: &mut Input<'_>) {
        let at = u64::from(input.word()) % LEN as u64;
        let len = usize::from(input.byte() % 64);
        let bytes = input.take(len.min(LEN - at as usize));
        self.honest &= at >= HALF;
        if let Ok(to) = self.memory.slice(Gpa(START + at), bytes.len()) {
            to.copy_from(bytes);
        }
    }

    /// Once the write has returned, the card is as new, and the guest's memory is the guest's.
    fn reset(&mut self) {
        self.write(Register::Status, 0);
        let image = Image::of(&self.memory);
        for register in [Register::Status, Register::InterruptStatus, Register::QueueReady] {
            assert_eq!(self.read(register), 0, "{register:?}");
        }
        assert!(!self.pin.is_high(), "nothing is to be told");
        assert!(self.device.slot().stats().is_none(), "no worker is left");
        self.take();
        std::thread::yield_now();
        assert_eq!(image.first_difference(&self.memory), None, "nobody writes after a reset");
        self.renew();
    }

    /// The guest begins anew. One that broke the rules knows no more which frames it had.
    fn renew(&mut self) {
        let delivered = self.sent - self.script.left() as u64;
        assert!(!self.honest || self.taken == delivered, "{} of {delivered} frames arrived", self.taken);
        (self.taken, self.honest) = (delivered, true);
        if let Some(driver) = driver(&self.memory, self.features) {
            self.driver = driver;
        }
    }
}

fn driver(memory: &MockMemory, features: Features) -> Option<FakeDriver> {
    FakeDriver::new(memory, DriverConfig::new(8, features, Shape::single(400))).ok()
}

/// Takes the guest's frames on the vCPU that kicks.
#[derive(Default)]
struct Sender(Mutex<Option<Queue>>);

struct Queue {
    reader: TxReader<MockMemory>,
    irq: MmioIrq<MockLevel>,
}

impl Sender {
    fn with(&self, act: impl FnOnce(&mut Option<Queue>)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Queue {
    /// A few turns: a guest that makes frames for ever gets no more of this thread.
    fn serve(&mut self) -> Result<(), IrqError> {
        for _ in 0..4 {
            let Ok(mut turn) = self.reader.turn() else { return self.irq.needs_reset() };
            for _ in 0..16 {
                match turn.frame() {
                    Ok(Some(frame)) => {
                        let mut bytes = vec![0; frame.len()];
                        assert_eq!(frame.copy_to(&mut bytes), frame.len());
                        let listed: usize = frame.buffers().iter().map(|buffer| buffer.len()).sum();
                        assert_eq!(listed, frame.len());
                        frame.complete();
                    }
                    Ok(None) => break,
                    Err(_) => return self.irq.needs_reset(),
                }
            }
            if turn.publish() {
                self.irq.raise()?;
            }
            if !turn.arm() {
                break;
            }
        }
        Ok(())
    }
}

impl Transmit<MockMemory, MockLevel> for Sender {
    fn start(&self, reader: TxReader<MockMemory>, irq: MmioIrq<MockLevel>) {
        self.with(|queue| *queue = Some(Queue { reader, irq }));
        self.kick();
    }

    fn kick(&self) {
        self.with(|queue| {
            let served = queue.as_mut().map_or(Ok(()), Queue::serve);
            assert!(served.is_ok(), "the line works: {served:?}");
        });
    }

    fn stop(&self) {
        self.with(|queue| *queue = None);
    }
}
