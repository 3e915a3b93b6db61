//! One queue's registers.

use crate::mem::Gpa;
use crate::ring::{ConfigError, Cursor, RingConfig};
use crate::spec::mmio::Register;

/// One queue's registers, as the driver writes them.
///
/// They can be written until the queue is ready; the rest is decided when the device goes live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    num: u32,
    desc: u64,
    driver: u64,
    device: u64,
    ready: bool,
}

impl Queue {
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    /// Writes its size, or one half of an address; does nothing once it is ready.
    pub(super) fn write(&mut self, register: Register, value: u32) {
        if self.ready {
            return;
        }
        match register {
            Register::QueueNum => self.num = value,
            Register::QueueDescLow => set_low(&mut self.desc, value),
            Register::QueueDescHigh => set_high(&mut self.desc, value),
            Register::QueueDriverLow => set_low(&mut self.driver, value),
            Register::QueueDriverHigh => set_high(&mut self.driver, value),
            Register::QueueDeviceLow => set_low(&mut self.device, value),
            Register::QueueDeviceHigh => set_high(&mut self.device, value),
            _ => {}
        }
    }

    /// What the ring is validated from, if its size is at most `max`.
    pub(super) fn ring(&self, max: u16) -> Result<RingConfig, ConfigError> {
        let size = u16::try_from(self.num).ok().filter(|size| *size <= max);
        Ok(RingConfig {
            size: size.ok_or(ConfigError::AboveMax { size: self.num, max })?,
            desc: Gpa(self.desc),
            avail: Gpa(self.driver),
            used: Gpa(self.device),
            start: Cursor::default(),
        })
    }
}

fn set_low(address: &mut u64, value: u32) {
    *address = *address >> 32 << 32 | u64::from(value);
}

fn set_high(address: &mut u64, value: u32) {
    *address = u64::from(value) << 32 | u64::from(*address as u32);
}
