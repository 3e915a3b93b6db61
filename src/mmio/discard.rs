//! Frames that nobody sends on.

use std::sync::Arc;

use super::{MmioIrq, Transmit, lock};
use crate::engine::EngineError;
use crate::irq::{IrqError, IrqLine, LevelLine, PAUSE, insist};
use crate::mem::GuestMemory;
use crate::ring::TxReader;
use crate::sync::{Mutex, pause, thread};
use crate::worker::Bell;

/// Nobody sends: what the guest transmits is completed unread, and gone. For a card that only receives.
///
/// Its driver gets its buffers back, as it does over a cable that ends nowhere. Were they left in the queue, it would run out
/// of room, and Linux would report a queue that stands still for as long as it lasts.
///
/// While the queue is live there is a thread for it, which sleeps until the driver kicks.
#[derive(Debug)]
pub struct Discard {
    bell: Arc<Bell>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Default for Discard {
    fn default() -> Self {
        Self { bell: Arc::new(Bell::new()), thread: Mutex::new(None) }
    }
}

impl<M: GuestMemory + 'static, L: LevelLine> Transmit<M, L> for Discard {
    fn start(&self, reader: TxReader<M>, irq: MmioIrq<L>) {
        let (bell, told) = (Arc::clone(&self.bell), irq.clone());
        // A kick from here on is for the thread that starts.
        self.bell.renew();
        let thread = thread::Builder::new().name("netrx-discard".to_owned());
        match thread.spawn(move || run(reader, irq, &bell)) {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => {
                tracing::error!(%error, "what the guest transmits stays in its queue");
                need_reset(&told);
            }
        }
    }

    fn kick(&self) {
        self.bell.kick();
    }

    fn stop(&self) {
        let Some(thread) = lock(&self.thread).take() else { return };
        self.bell.stop();
        if thread.join().is_err() {
            tracing::error!("the line panicked over an interrupt for the transmit queue");
        }
    }
}

/// Discards until it is told to stop, or the ring makes no sense, or the line fails.
fn run<M: GuestMemory, L: LevelLine>(mut reader: TxReader<M>, mut irq: MmioIrq<L>, bell: &Bell) {
    bell.attach();
    let mut owes_interrupt = false;
    while !bell.is_stopped() {
        match discard(&mut reader, &mut irq, &mut owes_interrupt) {
            Ok(true) => {}
            Ok(false) => _ = bell.sleep(),
            Err(EngineError::Irq(IrqError::Busy)) => pause(PAUSE),
            Err(error) => {
                tell(&error);
                need_reset(&irq);
                break;
            }
        }
    }
    tracing::debug!(stats = ?reader.stats(), "transmit frames discarded");
}

/// What the guest did is no more than a detail to the host.
fn tell(error: &EngineError) {
    match error {
        EngineError::Ring(error) => tracing::debug!(%error, "the guest has broken its transmit ring"),
        error => tracing::error!(%error, "the guest is not interrupted for what it transmits"),
    }
}

/// Completes all that there is; whether there is more by now, for which no kick will come.
fn discard<M: GuestMemory, L: LevelLine>(
    reader: &mut TxReader<M>,
    irq: &mut MmioIrq<L>,
    owes_interrupt: &mut bool,
) -> Result<bool, EngineError> {
    let mut turn = reader.turn()?;
    // No more than the ring holds: none comes again before it was published.
    while let Some(frame) = turn.frame()? {
        frame.complete();
    }
    *owes_interrupt |= turn.publish();
    if *owes_interrupt {
        irq.raise()?;
        *owes_interrupt = false;
    }
    Ok(turn.arm())
}

fn need_reset<L: LevelLine>(irq: &MmioIrq<L>) {
    if let Err(error) = insist(|| irq.needs_reset()) {
        tracing::error!(%error, "the guest was not interrupted for its transmit queue");
    }
}
