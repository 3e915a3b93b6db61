//! The network card on virtio-mmio, and the guest's side of its registers and of its level line.

use std::sync::{Arc, PoisonError};

use loom::sync::{Condvar, Mutex, MutexGuard};
use netrx::mmio::Discard;
use netrx::spec::mmio::{Register, status};
use netrx::{FrameSource, IrqError, LevelLine, MmioDevice, NetConfig};

use crate::{Guest, Ram};

/// A pin that the guest sleeps on.
#[derive(Clone, Default)]
pub struct Pin(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    high: bool,
    /// How often it is still too busy to rise.
    busy: u32,
}

impl Pin {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LevelLine for Pin {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        let mut state = self.lock();
        if high && state.busy > 0 {
            state.busy -= 1;
            return Err(IrqError::Busy);
        }
        state.high = high;
        drop(state);
        if high {
            self.0.1.notify_one();
        }
        Ok(())
    }
}

/// A card, shared by its clones.
#[derive(Clone)]
pub struct Card {
    device: Arc<MmioDevice<Arc<Ram>, Pin>>,
    pin: Pin,
}

impl Card {
    /// A card in the guest's machine; `None` if its configuration makes no sense.
    #[must_use]
    pub fn new(guest: &Guest) -> Option<Self> {
        let pin = Pin::default();
        let config = NetConfig::new([2, 0, 0, 0, 0, 1]);
        let device =
            MmioDevice::new("loom", &config, guest.memory(), pin.clone(), Discard::default()).ok()?;
        Some(Self { device: Arc::new(device), pin })
    }

    /// The device itself.
    #[must_use]
    pub fn device(&self) -> &MmioDevice<Arc<Ram>, Pin> {
        &self.device
    }

    /// Offers the receive worker a source.
    pub fn offer(&self, source: impl FrameSource + 'static) {
        self.device.slot().offer_source(0, source);
    }

    /// The pin is busy when it is to rise next, so many times.
    pub fn refuse(&self, times: u32) {
        self.pin.lock().busy = times;
    }

    /// The guest reads a register.
    #[must_use]
    pub fn read(&self, register: Register) -> u32 {
        let mut word = [0; 4];
        self.device.read(register as u64, &mut word);
        u32::from_le_bytes(word)
    }

    /// The guest writes a register.
    ///
    /// # Panics
    /// When the host fails to do what that asks for.
    pub fn write(&self, register: Register, value: u32) {
        let written = self.device.write(register as u64, &value.to_le_bytes());
        assert!(written.is_ok(), "{register:?} <- {value:#x}: {written:?}");
    }

    /// The guest's driver negotiates, sets its receive queue up and gets ready.
    pub fn start(&self, guest: &Guest) {
        let (features, ring) = (guest.features().0, guest.ring_config());
        let known = status::ACKNOWLEDGE | status::DRIVER;
        self.write(Register::Status, known);
        for (select, word) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(Register::DriverFeaturesSel, select);
            self.write(Register::DriverFeatures, word);
        }
        self.write(Register::Status, known | status::FEATURES_OK);
        let words = [
            (Register::QueueNum, u32::from(ring.size)),
            (Register::QueueDescLow, ring.desc.0 as u32),
            (Register::QueueDriverLow, ring.avail.0 as u32),
            (Register::QueueDeviceLow, ring.used.0 as u32),
            (Register::QueueReady, 1),
        ];
        words.into_iter().for_each(|(register, word)| self.write(register, word));
        self.write(Register::Status, known | status::FEATURES_OK | status::DRIVER_OK);
    }

    /// The guest sleeps until the pin is high, then reads why and acknowledges what it read, which is returned.
    ///
    /// An interrupt without a cause is allowed while somebody else is about to lower the pin. If nobody is, it is a storm,
    /// which is an endless execution to loom.
    pub fn sleep(&self) -> u32 {
        loop {
            let mut state = self.pin.lock();
            while !state.high {
                state = self.pin.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let cause = self.read(Register::InterruptStatus);
            if cause != 0 {
                self.write(Register::InterruptAck, cause);
                return cause;
            }
            loom::thread::yield_now();
        }
    }

    /// Whether the pin says what the register says, and which of both.
    #[must_use]
    pub fn settled(&self) -> Option<bool> {
        let high = self.pin.lock().high;
        (high == (self.read(Register::InterruptStatus) != 0)).then_some(high)
    }
}
