//! A VMM's side of the transmit queue: sends what the guest sends into a list, where the guest kicks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netrx::mmio::{MmioIrq, Transmit};
use netrx::ring::{TxReader, TxStats};
use netrx::{IrqError, IrqLine};
use netrx_mock::MockMemory;

use super::lossy::Lossy;

/// Takes the guest's frames while it is started, on the vCPU that kicks. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Forward {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: Mutex<Option<Queue>>,
    frames: Mutex<Vec<Vec<u8>>>,
    starts: AtomicU64,
    kicks: AtomicU64,
    stops: AtomicU64,
}

struct Queue {
    reader: TxReader<MockMemory>,
    irq: MmioIrq<Lossy>,
}

impl Forward {
    /// The frames since the last call.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.inner.frames))
    }

    /// How often it was started, kicked, and stopped.
    pub(crate) fn calls(&self) -> [u64; 3] {
        let Inner { starts, kicks, stops, .. } = &*self.inner;
        [starts, kicks, stops].map(|calls| calls.load(Ordering::Relaxed))
    }

    /// What the reader counted, while there is one.
    pub(crate) fn stats(&self) -> Option<TxStats> {
        lock(&self.inner.queue).as_ref().map(|queue| queue.reader.stats())
    }

    fn serve(&self) {
        let mut queue = lock(&self.inner.queue);
        if let Some(queue) = queue.as_mut() {
            let served = queue.serve(&mut lock(&self.inner.frames));
            assert!(served.is_ok(), "the line works: {served:?}");
        }
    }
}

impl Queue {
    fn serve(&mut self, frames: &mut Vec<Vec<u8>>) -> Result<(), IrqError> {
        loop {
            let Ok(mut turn) = self.reader.turn() else { return self.irq.needs_reset() };
            loop {
                match turn.frame() {
                    Ok(Some(frame)) => {
                        let mut bytes = vec![0; frame.len()];
                        assert_eq!(frame.copy_to(&mut bytes), frame.len());
                        let header = frame.header();
                        assert!(header.iter().all(|byte| *byte == 0), "a plain frame: {header:?}");
                        frames.push(bytes);
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
                return Ok(());
            }
        }
    }
}

impl Transmit<MockMemory, Lossy> for Forward {
    fn start(&self, reader: TxReader<MockMemory>, irq: MmioIrq<Lossy>) {
        self.inner.starts.fetch_add(1, Ordering::Relaxed);
        *lock(&self.inner.queue) = Some(Queue { reader, irq });
        self.serve();
    }

    fn kick(&self) {
        self.inner.kicks.fetch_add(1, Ordering::Relaxed);
        self.serve();
    }

    fn stop(&self) {
        self.inner.stops.fetch_add(1, Ordering::Relaxed);
        *lock(&self.inner.queue) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
