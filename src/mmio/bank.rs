//! The registers and the rules of their change: what a write means, not how it is done.
//!
//! ```text
//!  0 --ACKNOWLEDGE, DRIVER--> features --FEATURES_OK--> queues --DRIVER_OK--> live --0--> 0
//!                             written      or refused     written     all frozen
//! ```

use super::config::{NetConfig, NetConfigError, Space};
use super::queue::Queue;
use crate::ring::{ConfigError, RingConfig};
use crate::spec::Features;
use crate::spec::mmio::{DEVICE_NET, MAGIC, Register, VERSION, status};

/// The receive queue's index.
pub(super) const RECEIVE: usize = 0;
/// The transmit queue's index.
pub(super) const TRANSMIT: usize = 1;

/// The bits of the status that a driver may set.
const BY_DRIVER: u32 =
    status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK | status::FEATURES_OK | status::FAILED;

/// The registers that only one access at a time sees.
#[derive(Debug)]
pub(super) struct Bank {
    offered: Features,
    queue_max: u16,
    vendor: u32,
    pub(super) space: Space,
    driver: Driver,
}

/// All that the driver has written since the last reset.
#[derive(Debug, Default)]
struct Driver {
    status: u32,
    features: Features,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
    queues: [Queue; 2],
}

/// What a write asks of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing beyond the register itself.
    None,
    /// To start the queues that are ready.
    Start,
    /// To stop one queue, and then to [unready](Bank::unready) it.
    Stop(usize),
    /// To stop all, and then to [reset](Bank::reset).
    Reset,
}

impl Bank {
    pub(super) fn new(config: &NetConfig) -> Result<Self, NetConfigError> {
        Ok(Self {
            offered: config.offer()?,
            queue_max: config.queue_max,
            vendor: config.vendor,
            space: config.space(),
            driver: Driver::default(),
        })
    }

    /// Reads a register; the interrupt's and what is only written are 0.
    pub(super) fn read(&self, register: Register) -> u32 {
        match register {
            Register::MagicValue => MAGIC,
            Register::Version => VERSION,
            Register::DeviceId => DEVICE_NET,
            Register::VendorId => self.vendor,
            Register::DeviceFeatures => half(self.offered, self.driver.device_features_sel),
            Register::QueueNumMax => self.queue().map_or(0, |_| u32::from(self.queue_max)),
            Register::QueueReady => self.queue().map_or(0, |queue| u32::from(queue.is_ready())),
            Register::Status => self.driver.status,
            Register::ConfigGeneration => self.space.generation,
            // There is no shared memory: its length and place are all ones (section 4.2.2.1).
            Register::ShmLenLow | Register::ShmLenHigh | Register::ShmBaseLow | Register::ShmBaseHigh => {
                u32::MAX
            }
            _ => 0,
        }
    }

    /// Writes a register, if that is allowed now, and tells what the device has to do for it.
    pub(super) fn write(&mut self, register: Register, value: u32) -> Effect {
        match register {
            Register::DeviceFeaturesSel => self.driver.device_features_sel = value,
            Register::DriverFeaturesSel => self.driver.driver_features_sel = value,
            Register::DriverFeatures => self.acknowledge(value),
            Register::QueueSel => self.driver.queue_sel = value,
            Register::QueueReady => return self.write_ready(value),
            Register::Status => return self.write_status(value),
            _ if !self.is_live() => {
                if let Some(queue) = self.queue_mut() {
                    queue.write(register, value);
                }
            }
            _ => {}
        }
        Effect::None
    }

    /// Whether the driver has set `DRIVER_OK`.
    pub(super) fn is_live(&self) -> bool {
        self.driver.status & status::DRIVER_OK != 0
    }

    /// What the driver acknowledged.
    pub(super) fn features(&self) -> Features {
        self.driver.features
    }

    /// The ring of a queue, if that is ready.
    pub(super) fn ring(&self, queue: usize) -> Result<Option<RingConfig>, ConfigError> {
        let queue = self.driver.queues.get(queue).filter(|queue| queue.is_ready());
        queue.map(|queue| queue.ring(self.queue_max)).transpose()
    }

    /// The queue has stopped.
    pub(super) fn unready(&mut self, queue: usize) {
        if let Some(queue) = self.driver.queues.get_mut(queue) {
            queue.set_ready(false);
        }
    }

    /// The device has stopped: forgets all that the driver wrote.
    pub(super) fn reset(&mut self) {
        self.driver = Driver::default();
    }

    fn queue(&self) -> Option<&Queue> {
        self.driver.queues.get(usize::try_from(self.driver.queue_sel).ok()?)
    }

    fn queue_mut(&mut self) -> Option<&mut Queue> {
        self.driver.queues.get_mut(usize::try_from(self.driver.queue_sel).ok()?)
    }

    /// The driver acknowledges 32 features, until `FEATURES_OK`.
    fn acknowledge(&mut self, value: u32) {
        if self.driver.status & status::FEATURES_OK != 0 {
            return;
        }
        let (features, value) = (&mut self.driver.features, u64::from(value));
        match self.driver.driver_features_sel {
            0 => features.0 = features.0 >> 32 << 32 | value,
            1 => features.0 = value << 32 | u64::from(features.0 as u32),
            _ => {}
        }
    }

    /// A queue becomes ready before the device is live, and can only be stopped after that: such a driver gives it up
    /// until the next reset.
    fn write_ready(&mut self, value: u32) -> Effect {
        let live = self.is_live();
        let index = self.driver.queue_sel as usize;
        let Some(queue) = self.queue_mut() else { return Effect::None };
        match (live, value) {
            (false, 0 | 1) => queue.set_ready(value == 1),
            (true, 0) if queue.is_ready() => return Effect::Stop(index),
            _ => {}
        }
        Effect::None
    }

    /// Bits are only ever added, in order, until 0 resets them (section 2.1).
    fn write_status(&mut self, value: u32) -> Effect {
        if value == 0 {
            return Effect::Reset;
        }
        let before = self.driver.status;
        let mut now = before | value & BY_DRIVER;
        let known = status::ACKNOWLEDGE | status::DRIVER;
        if now & known != known || !self.accepts() {
            now &= !status::FEATURES_OK | before;
        }
        if now & status::FEATURES_OK == 0 || now & status::FAILED != 0 {
            now &= !status::DRIVER_OK | before;
        }
        self.driver.status = now;
        if now & !before & status::DRIVER_OK != 0 { Effect::Start } else { Effect::None }
    }

    /// Whether the device can work with what the driver acknowledged: what was offered and no more, with all that it needs,
    /// and `VERSION_1`, without which these registers mean something else.
    fn accepts(&self) -> bool {
        let features = self.driver.features;
        features.without(self.offered) == Features::NONE
            && features.has(Features::VERSION_1)
            && features.is_closed()
    }
}

/// The 32 features that `select` names.
fn half(features: Features, select: u32) -> u32 {
    match select {
        0 => features.0 as u32,
        1 => (features.0 >> 32) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
