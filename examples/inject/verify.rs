//! Whether what arrives is what was sent.

use std::sync::Arc;

use crate::latency::Stamps;
use crate::traffic::Traffic;

/// The bytes of a virtio-net header that say nothing about a plain frame; the count of buffers may follow.
const PLAIN: [u8; 10] = [0; 10];

/// Matches frames that arrive, byte for byte and in order, with those that were sent.
///
/// Frames may be missing, because they were dropped: each that arrives is matched with the first one that it can be.
/// That never rejects a row of frames that is in order. How many may be missing is judged at the end, by the counters.
pub(crate) struct Verifier {
    traffic: Arc<Traffic>,
    stamps: Arc<Stamps>,
    /// The least number that the next frame can have.
    next: u64,
    arrived: u64,
    corrupted: u64,
}

impl Verifier {
    pub(crate) fn new(traffic: Arc<Traffic>, stamps: Arc<Stamps>) -> Self {
        Self { traffic, stamps, next: 0, arrived: 0, corrupted: 0 }
    }

    /// A frame arrived; returns its number, unless it is none that can come now.
    pub(crate) fn check(&mut self, header: &[u8], frame: &[u8]) -> Option<u64> {
        self.arrived += 1;
        let plain = header.starts_with(&PLAIN);
        let number = plain.then(|| self.traffic.find(frame, self.next..self.stamps.sent())).flatten();
        match number {
            Some(number) => self.next = number + 1,
            None => {
                self.corrupted += 1;
                self.next += 1;
            }
        }
        number
    }

    /// All frames that arrive from now on were sent after `dropped` others were dropped.
    pub(crate) fn dropped_before(&mut self, dropped: u64) {
        self.next = self.next.max(self.arrived + dropped);
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Frames that are not what was sent.
    pub(crate) fn corrupted(&self) -> u64 {
        self.corrupted
    }

    /// Frames that are missing before the last one that arrived.
    pub(crate) fn skipped(&self) -> u64 {
        self.next - self.arrived
    }
}
