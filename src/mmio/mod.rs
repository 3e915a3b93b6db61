//! A network card on virtio-mmio, version 2 (sections 4.2 and 5.1): the registers that a guest sees.
//!
//! ```text
//! vCPU exit --read, write--> MmioDevice --DRIVER_OK--> RxWorkerSlot::driver_ok, Transmit::start
//!                               |  |  \----QueueNotify--> RxWorkerSlot::kick, Transmit::kick
//!                               |  \-------0 to Status--> RxWorkerSlot::reset, Transmit::stop
//!                               \--InterruptAck--> MmioIrq --> LevelLine
//! worker --raise-----------------------------------^
//! ```
//!
//! 1. The VMM makes a [`MmioDevice`] from a [`NetConfig`], the guest's memory, a [`LevelLine`] and a [`Transmit`] (or
//!    [`Discard`], where nobody sends), and offers its [slot](MmioDevice::slot) a source.
//! 2. Each access of the guest to the device's 0x200 bytes becomes a [`read`](MmioDevice::read) or a
//!    [`write`](MmioDevice::write). Whatever makes no sense (a wrong width or place, a register at the wrong time) reads
//!    as 0 and changes nothing.
//! 3. The driver negotiates features and sets its queues up; `DRIVER_OK` validates and freezes both and starts the worker.
//! 4. Used buffers and configuration changes set a bit of `InterruptStatus` and raise the line; `InterruptACK` clears bits,
//!    and lowers the line with the last.
//! 5. Writing 0 to `Status` stops everything: once the write returns, nothing of the device's touches the guest's memory.
//!    Every part is kept for the next start.
//!
//! There is one pair of queues, no control queue, no packed ring, no reset of single queues, and no shared memory.

mod bank;
mod config;
mod discard;
mod irq;
mod queue;
mod transmit;

pub use config::{NetConfig, NetConfigError};
pub use discard::Discard;
pub use irq::MmioIrq;
pub use transmit::Transmit;

use std::fmt;
use std::sync::PoisonError;

use bank::{Bank, Effect, RECEIVE, TRANSMIT};

use crate::engine::{EngineConfig, EngineError};
use crate::irq::{IrqError, LevelLine, insist};
use crate::mem::GuestMemory;
use crate::ring::{RingConfig, TxReader};
use crate::spec::mmio::{CONFIG, Register, interrupt};
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering};
use crate::worker::{End, Report, RxConfig, RxWorkerSlot, SlotError};

/// A network card on virtio-mmio.
///
/// Every method takes `&self` and may be called from any thread: accesses to registers take turns under a lock. The worker
/// never takes that lock, nor do `QueueNotify` and the interrupt registers: a kick is an atomic instruction unless the worker
/// sleeps, `InterruptStatus` is a load, and `InterruptACK` sets the line, mostly by one call, without waiting for anybody who
/// does the same.
///
/// Dropping it stops everything and lowers the line, as a reset does.
pub struct MmioDevice<M: GuestMemory + 'static, L: LevelLine> {
    bank: Mutex<Bank>,
    slot: RxWorkerSlot<M, MmioIrq<L>>,
    transmit: Box<dyn Transmit<M, L>>,
    irq: MmioIrq<L>,
    memory: M,
    engine: EngineConfig,
    on_stop: Mutex<Option<StopHook>>,
    /// Bit by bit, the queues that are served.
    served: AtomicU32,
}

/// What the consumer wants called with the report of a worker that was stopped.
type StopHook = Box<dyn FnMut(Report) + Send>;

/// What the host failed to do for a guest's access. The guest's own mistakes are no errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MmioError {
    /// The worker was not started, which sets `DEVICE_NEEDS_RESET`; or it was not waited for, since the write came on its own
    /// thread, and the same write of another thread stops the device.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The level line failed. If it was [busy](IrqError::Busy), the same write tries it again.
    #[error(transparent)]
    Line(#[from] IrqError),
}

impl<M: GuestMemory + Clone + 'static, L: LevelLine> MmioDevice<M, L> {
    /// A card that is powered on. `name` is given to the receive worker's thread.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(
        name: impl Into<String>,
        config: &NetConfig,
        memory: M,
        line: L,
        transmit: impl Transmit<M, L> + 'static,
    ) -> Result<Self, NetConfigError> {
        let bank = Mutex::new(Bank::new(config)?);
        let irq = MmioIrq::new(line);
        let slot = RxWorkerSlot::new(name);
        slot.deposit_memory(memory.clone());
        slot.deposit_irq(irq.clone());
        slot.on_end(end_hook(irq.clone(), |_| {}));
        let (transmit, on_stop, served) = (Box::new(transmit), Mutex::new(None), AtomicU32::new(0));
        Ok(Self { bank, slot, transmit, irq, memory, engine: config.engine, on_stop, served })
    }

    /// The receive worker's slot, to offer it sources and to read its counters. It is started and stopped by the guest; its
    /// hook is set by [`on_end`](Self::on_end), and the report of a worker that the guest stopped comes by
    /// [`on_stop`](Self::on_stop).
    pub fn slot(&self) -> &RxWorkerSlot<M, MmioIrq<L>> {
        &self.slot
    }

    /// The device's interrupts.
    pub fn irq(&self) -> MmioIrq<L> {
        self.irq.clone()
    }

    /// Sets what is called, on the worker's thread, when it ends for another reason than a reset. It must not call the
    /// device. A broken ring has set `DEVICE_NEEDS_RESET` by then.
    pub fn on_end(&self, hook: impl FnMut(&End) + Send + 'static) {
        self.slot.on_end(end_hook(self.irq(), hook));
    }

    /// Sets what is called with what a receive worker did, once that has stopped: because the guest resets the device or stops
    /// the queue, on the thread that writes the register, or because the device is dropped. It must not call the device.
    ///
    /// The report of a worker that ended by itself comes here as well, and no sooner.
    pub fn on_stop(&self, hook: impl FnMut(Report) + Send + 'static) {
        // The old one is dropped without the lock: it is somebody else's code.
        let _old = lock(&self.on_stop).replace(Box::new(hook));
    }

    /// Takes the link up or down; a live driver is interrupted for the change.
    ///
    /// It waits while the guest resets the device, which waits for the receive worker and for
    /// [`Transmit::stop`]: not to be called where either of these waits for it, as in a source's or a line's own methods.
    ///
    /// # Errors
    /// When the level line fails. The link has changed all the same; the same call again tries the line again.
    pub fn set_link(&self, up: bool) -> Result<(), IrqError> {
        let mut bank = lock(&self.bank);
        let changed = bank.space.set_link(up);
        match bank.is_live() {
            // Without a change, too: the line may have failed at the last one.
            true => self.irq.set(if changed { interrupt::CONFIG } else { 0 }),
            false => Ok(()),
        }
    }

    /// The guest reads `data.len()` bytes at `offset` from the device's beginning, little-endian.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = offset.checked_sub(CONFIG) {
            lock(&self.bank).space.read(offset, data);
        } else if let (Ok(word), Some(register)) = (<&mut [u8; 4]>::try_from(data), Register::at(offset)) {
            *word = self.read_register(register).to_le_bytes();
        }
    }

    /// The guest writes `data` at `offset` from the device's beginning, little-endian.
    ///
    /// A reset, and a queue's stop, wait for the worker and for [`Transmit::stop`].
    ///
    /// # Errors
    /// When the host fails: whatever the guest writes is none.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), MmioError> {
        match (<[u8; 4]>::try_from(data), Register::at(offset)) {
            (Ok(word), Some(register)) => self.write_register(register, u32::from_le_bytes(word)),
            _ => Ok(()),
        }
    }

    fn read_register(&self, register: Register) -> u32 {
        match register {
            Register::InterruptStatus => self.irq.status(),
            Register::Status => lock(&self.bank).read(register) | self.irq.reset_bit(),
            _ => lock(&self.bank).read(register),
        }
    }

    fn write_register(&self, register: Register, value: u32) -> Result<(), MmioError> {
        match register {
            Register::QueueNotify => self.kick(value),
            Register::InterruptAck => self.irq.acknowledge(value)?,
            _ => {
                let mut bank = lock(&self.bank);
                match bank.write(register, value) {
                    Effect::None => {}
                    Effect::Start => self.start(&bank)?,
                    Effect::Stop(queue) => {
                        self.stop(queue)?;
                        bank.unready(queue);
                    }
                    Effect::Reset => self.reset(&mut bank)?,
                }
            }
        }
        Ok(())
    }

    fn kick(&self, queue: u32) {
        let is = |known: usize| usize::try_from(queue) == Ok(known) && self.serves(known);
        if is(RECEIVE) {
            self.slot.kick();
        } else if is(TRANSMIT) {
            self.transmit.kick();
        }
    }

    fn serves(&self, queue: usize) -> bool {
        self.served.load(Ordering::Acquire) & (1 << queue) != 0
    }

    /// Starts the queues that are ready. If one of them makes no sense, neither is served and the device needs a reset.
    fn start(&self, bank: &Bank) -> Result<(), MmioError> {
        match self.start_queues(bank) {
            Ok(Some(reader)) => {
                self.served.fetch_or(1 << TRANSMIT, Ordering::AcqRel);
                self.transmit.start(reader, self.irq());
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => self.refuse(error),
        }
    }

    /// Starts the receive queue, if both make sense; returns the transmit queue's reader.
    fn start_queues(&self, bank: &Bank) -> Result<Option<TxReader<M>>, SlotError> {
        let (receive, transmit) = (bank.ring(RECEIVE)?, bank.ring(TRANSMIT)?);
        let reader = transmit.map(|ring| TxReader::new(ring, bank.features(), self.memory.clone()));
        let reader = reader.transpose()?;
        receive.map_or(Ok(()), |ring| self.start_receive(ring, bank))?;
        Ok(reader)
    }

    fn start_receive(&self, ring: RingConfig, bank: &Bank) -> Result<(), SlotError> {
        // Served first: a kick that comes while the worker starts is for it.
        self.served.fetch_or(1 << RECEIVE, Ordering::AcqRel);
        let config = RxConfig { ring, features: bank.features(), engine: self.engine, restored: false };
        self.slot.driver_ok(config).inspect_err(|_| {
            self.served.fetch_and(!(1 << RECEIVE), Ordering::AcqRel);
        })
    }

    /// The queues cannot be started: the guest's fault if it set them up wrongly, else the host's.
    fn refuse(&self, error: SlotError) -> Result<(), MmioError> {
        // Nobody would write this again: a line that is busy is insisted on.
        let told = insist(|| self.irq.needs_reset());
        match error {
            SlotError::Config(error) => {
                tracing::debug!(%error, "the guest has set a queue up wrongly");
                Ok(told?)
            }
            error => Err(error.into()),
        }
    }
}

impl<M: GuestMemory + 'static, L: LevelLine> MmioDevice<M, L> {
    /// Stops everything, and is then as it was when powered on.
    fn reset(&self, bank: &mut Bank) -> Result<(), MmioError> {
        self.stop(RECEIVE)?;
        self.stop(TRANSMIT)?;
        bank.reset();
        Ok(self.irq.clear()?)
    }

    /// Stops serving one queue.
    fn stop(&self, queue: usize) -> Result<(), SlotError> {
        if queue == RECEIVE
            && let Some(report) = self.slot.reset()?
            && let Some(hook) = &mut *lock(&self.on_stop)
        {
            hook(report);
        }
        let served = self.served.fetch_and(!(1 << queue), Ordering::AcqRel);
        if queue == TRANSMIT && served & (1 << queue) != 0 {
            self.transmit.stop();
        }
        Ok(())
    }
}

impl<M: GuestMemory + 'static, L: LevelLine> Drop for MmioDevice<M, L> {
    fn drop(&mut self) {
        // Only the worker's own thread is refused; it ends once it returns.
        let _ = self.stop(RECEIVE);
        let _ = self.stop(TRANSMIT);
        if let Err(error) = insist(|| self.irq.clear()) {
            tracing::error!(%error, "the line of a card that is gone was not lowered");
        }
    }
}

impl<M: GuestMemory, L: LevelLine> fmt::Debug for MmioDevice<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MmioDevice").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Tells the guest of a broken ring, and then the consumer of every end.
fn end_hook<L: LevelLine>(
    irq: MmioIrq<L>,
    mut hook: impl FnMut(&End) + Send + 'static,
) -> impl FnMut(&End) + Send + 'static {
    move |end| {
        if matches!(end, End::Failed(EngineError::Ring(_)))
            && let Err(error) = insist(|| irq.needs_reset())
        {
            tracing::error!(%error, "the guest was not interrupted for its broken ring");
        }
        hook(end);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
