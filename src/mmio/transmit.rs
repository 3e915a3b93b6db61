//! Who sends the guest's frames on.

use super::MmioIrq;
use crate::ring::TxReader;

/// The VMM's side of the transmit queue: it gets the queue's reader while the device is live.
///
/// * **Threads**: called from whichever vCPU writes the registers; it has its own thread, or event loop, for the work.
/// * **Ordering**: [`start`](Self::start) and [`stop`](Self::stop) take turns; [`kick`](Self::kick) may come at any time.
/// * **Blocking**: only [`stop`](Self::stop) waits, for its own thread.
/// * **Errors**: a ring that makes no sense is told to the device with [`MmioIrq::needs_reset`].
pub trait Transmit<M, L>: Send + Sync {
    /// The queue is live. There may be frames already; `irq` raises the interrupts that [`publish`] asks for.
    ///
    /// [`publish`]: crate::ring::TxTurn::publish
    fn start(&self, reader: TxReader<M>, irq: MmioIrq<L>);

    /// The driver made frames available (`QueueNotify`). Also before a start, and after a stop.
    fn kick(&self);

    /// The queue is reset: when this returns, nobody uses the reader or the line of the last start any more.
    fn stop(&self);
}
