//! What a vCPU does on the path of the frames, while another one holds the registers: it waits for nobody.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use netrx::mmio::{MmioError, MmioIrq, NetConfigError, Transmit};
use netrx::ring::TxReader;
use netrx::spec::mmio::{Register, interrupt};
use netrx::{Features, IrqLine, MmioDevice, NetConfig};
use netrx_mock::registers::bring_up;
use netrx_mock::{DriverConfig, FakeDriver, MockLevel, MockMemory, ScriptedSource, Shape};

use super::rig::{MAC, RECEIVE};
use super::{STUCK, Tested};

const TRANSMIT: u32 = 1;

type Card = MmioDevice<MockMemory, MockLevel>;

/// Starts and stops only once it is let go on, and tells what it is asked for.
struct Held {
    called: Sender<&'static str>,
    go_on: Mutex<Receiver<()>>,
}

impl Held {
    fn hold(&self, call: &'static str) {
        if self.called.send(call).is_ok() {
            // A test that has failed is not waited for.
            let _ = self.go_on.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(2 * STUCK);
        }
    }
}

impl Transmit<MockMemory, MockLevel> for Held {
    fn start(&self, _reader: TxReader<MockMemory>, _irq: MmioIrq<MockLevel>) {
        self.hold("start");
    }

    fn kick(&self) {
        // Nobody listens to a kick that comes too late.
        let _ = self.called.send("kick");
    }

    fn stop(&self) {
        self.hold("stop");
    }
}

/// A card whose transmission is held, what is called of that, and what lets it go on.
fn held(memory: &MockMemory) -> Result<(Card, Receiver<&'static str>, Sender<()>), NetConfigError> {
    let ((called, calls), (resume, go_on)) = (mpsc::channel(), mpsc::channel());
    let (held, line) = (Held { called, go_on: Mutex::new(go_on) }, MockLevel::new().0);
    let card = Card::new("unlocked", &NetConfig::new(MAC), memory.clone(), line, held)?;
    card.slot().offer_source(0, ScriptedSource::new().0);
    Ok((card, calls, resume))
}

fn write(card: &Card, register: Register, value: u32) -> Result<(), MmioError> {
    card.write(register as u64, &value.to_le_bytes())
}

/// Kicks both queues, takes an interrupt and acknowledges it; why it was interrupted, before and after.
fn data_path(card: &Card) -> Result<[u32; 2], MmioError> {
    let status = || {
        let mut word = [0xff; 4];
        card.read(Register::InterruptStatus as u64, &mut word);
        u32::from_le_bytes(word)
    };
    write(card, Register::QueueNotify, RECEIVE)?;
    write(card, Register::QueueNotify, TRANSMIT)?;
    card.irq().raise()?;
    let before = status();
    write(card, Register::InterruptAck, before)?;
    Ok([before, status()])
}

/// `DRIVER_OK` and a reset are held in the midst, each with the registers to itself. The receive queue is served during the
/// first, so that the kicks go all the way to the worker.
#[test]
fn the_data_path_waits_for_no_register() -> Tested {
    let memory = MockMemory::heap(&[1 << 18]);
    let driver = || FakeDriver::new(&memory, DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)));
    let (receive, transmit) = (driver()?, driver()?);
    let (card, calls, resume) = held(&memory)?;
    let mut all = bring_up(
        Features::VERSION_1,
        &[(RECEIVE, receive.ring_config()), (TRANSMIT, transmit.ring_config())],
    );
    let live = all.pop().ok_or("the last is DRIVER_OK")?;
    all.into_iter().try_for_each(|(register, value)| write(&card, register, value))?;
    for ((register, value), call, kicks) in [(live, "start", 1), ((Register::Status, 0), "stop", 0)] {
        thread::scope(|scope| -> Tested {
            let holds = scope.spawn(|| write(&card, register, value));
            assert_eq!(calls.recv_timeout(STUCK)?, call);
            let ((done, is_done), card) = (mpsc::channel(), &card);
            scope.spawn(move || done.send(data_path(card)));
            let passed = is_done.recv_timeout(STUCK);
            resume.send(())?;
            assert!(holds.join().is_ok_and(|written| written.is_ok()));
            let passed = passed.map_err(|_| "the data path waits for the registers")??;
            assert_eq!(passed, [interrupt::USED, 0], "beside {call}");
            assert_eq!(calls.try_iter().filter(|call| *call == "kick").count(), kicks, "beside {call}");
            Ok(())
        })?;
    }
    Ok(())
}
