//! A card, a guest's memory, and a driver that writes registers one by one.

use std::error::Error;

use netrx::mmio::MmioError;
use netrx::ring::RingConfig;
use netrx::spec::mmio::Register;
use netrx::{Features, MmioDevice, NetConfig};
use netrx_mock::registers::{self, AGREED};
use netrx_mock::{
    DriverConfig, FakeDriver, LevelProbe, MockLevel, MockMemory, Script, ScriptedSource, Shape,
};

use super::forward::Forward;
use super::lossy::{Loss, Lossy};
use super::{Tested, eventually};

pub(crate) type Device = MmioDevice<MockMemory, Lossy>;

/// The receive queue's index; the transmit queue's is 1.
pub(crate) const RECEIVE: u32 = 0;

pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

/// A card with a source by script.
pub(crate) struct Rig {
    pub(crate) device: Device,
    pub(crate) memory: MockMemory,
    pub(crate) driver: FakeDriver,
    pub(crate) probe: LevelProbe,
    pub(crate) script: Script,
    pub(crate) forward: Forward,
    pub(crate) features: Features,
}

impl Rig {
    pub(crate) fn new(features: Features) -> Result<Self, Box<dyn Error>> {
        let memory = MockMemory::heap(&[1 << 18]);
        let (line, probe) = MockLevel::new();
        let line = Lossy::new(line, &Loss::default());
        let forward = Forward::default();
        let device = Device::new("mmio-test", &NetConfig::new(MAC), memory.clone(), line, forward.clone())?;
        let (source, script) = ScriptedSource::new();
        device.slot().offer_source(0, source);
        let driver = fresh(&memory, features)?;
        Ok(Self { device, memory, driver, probe, script, forward, features })
    }

    pub(crate) fn read(&self, register: Register) -> u32 {
        let mut word = [0xff; 4];
        self.device.read(register as u64, &mut word);
        u32::from_le_bytes(word)
    }

    pub(crate) fn write(&self, register: Register, value: u32) -> Result<(), MmioError> {
        self.device.write(register as u64, &value.to_le_bytes())
    }

    /// Negotiates, up to `FEATURES_OK`.
    pub(crate) fn agree(&self) -> Result<(), MmioError> {
        self.write_all(registers::agree(self.features))?;
        assert_eq!(self.read(Register::Status), AGREED);
        Ok(())
    }

    /// Sets a queue up, and makes it ready.
    pub(crate) fn set_queue(&self, queue: u32, ring: &RingConfig) -> Result<(), MmioError> {
        self.write_all(registers::set_queue(queue, ring))
    }

    fn write_all(&self, writes: impl IntoIterator<Item = (Register, u32)>) -> Result<(), MmioError> {
        writes.into_iter().try_for_each(|(register, word)| self.write(register, word))
    }

    /// Brings the device up with the receive queue alone.
    pub(crate) fn start(&self) -> Result<(), MmioError> {
        self.agree()?;
        self.set_queue(RECEIVE, &self.driver.ring_config())?;
        self.write(Register::Status, registers::LIVE)
    }

    /// Posts all buffers, and kicks if that is wanted.
    pub(crate) fn post(&mut self) -> Result<(), MmioError> {
        match self.driver.post(usize::MAX).kick {
            true => self.write(Register::QueueNotify, RECEIVE),
            false => Ok(()),
        }
    }

    /// Takes an interrupt: reads why, and acknowledges that.
    pub(crate) fn acknowledge(&self) -> Result<u32, MmioError> {
        let why = self.read(Register::InterruptStatus);
        self.write(Register::InterruptAck, why)?;
        Ok(why)
    }

    /// Resets the device, and forgets the ring.
    pub(crate) fn reset(&mut self) -> Tested {
        self.write(Register::Status, 0)?;
        self.driver = fresh(&self.memory, self.features)?;
        Ok(())
    }

    /// Waits for `count` frames, and takes them.
    pub(crate) fn frames(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let mut frames = Vec::new();
        eventually("the frames arrive", || {
            frames.extend(self.driver.drain_frames().unwrap_or_default());
            frames.len() >= count
        });
        Ok(frames)
    }
}

/// A driver whose buffers are not posted yet.
fn fresh(memory: &MockMemory, features: Features) -> Result<FakeDriver, Box<dyn Error>> {
    Ok(FakeDriver::new(memory, DriverConfig::new(16, features, Shape::single(2048)))?)
}
