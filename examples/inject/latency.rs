//! How long frames take, from sender to guest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::irq::{Raise, Raises};

/// How many frames may be on their way at once: far more than the largest ring and the sources hold.
const ON_THEIR_WAY: usize = 1 << 17;

/// When each frame was sent: written by the one who sends, read by the guest. Nothing is allocated per frame.
pub(crate) struct Stamps {
    epoch: Instant,
    begin: OnceLock<Instant>,
    sent: AtomicU64,
    /// By number, modulo the length: nanoseconds since the epoch.
    times: Box<[AtomicU64]>,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        let times = (0..ON_THEIR_WAY).map(|_| AtomicU64::new(0)).collect();
        Self { epoch: Instant::now(), begin: OnceLock::new(), sent: AtomicU64::new(0), times }
    }

    /// When the sending began; that is now, if nobody has asked before.
    pub(crate) fn begin(&self) -> Instant {
        *self.begin.get_or_init(Instant::now)
    }

    /// The frames with these numbers are being sent at `now`.
    pub(crate) fn sending(&self, numbers: std::ops::Range<u64>, now: Instant) {
        let time = nanos(now.saturating_duration_since(self.epoch));
        for number in numbers.clone() {
            self.time(number).store(time, Ordering::Relaxed);
        }
        self.sent.store(numbers.end, Ordering::Release);
    }

    /// The frame that was being sent last was not.
    pub(crate) fn not_sent(&self, number: u64) {
        self.sent.store(number, Ordering::Release);
    }

    /// How many frames were sent, or are being.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// When the last frame was sent.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.sent().checked_sub(1).map(|number| self.at(number))
    }

    fn at(&self, number: u64) -> Instant {
        self.epoch + Duration::from_nanos(self.time(number).load(Ordering::Relaxed))
    }

    fn time(&self, number: u64) -> &AtomicU64 {
        &self.times[number as usize % ON_THEIR_WAY]
    }
}

/// The guest's side: how old each frame is when the guest learns of it.
///
/// The interrupt line notes with each interrupt how far the used ring was filled. A frame within that was announced by
/// it; one beyond, or one that came while interrupts were not wanted, was found by a guest that was awake.
pub(crate) struct Latency {
    stamps: Arc<Stamps>,
    raises: Raises,
    /// Interrupts that may announce what is drained next.
    recent: VecDeque<Raise>,
    /// Used entries drained so far; wraps as the ring's own index does.
    drained: u16,
    nanos: Option<Histogram<u64>>,
}

impl Latency {
    pub(crate) fn new(stamps: Arc<Stamps>, raises: Raises) -> Self {
        // Three digits are what a table shows.
        let nanos = Histogram::new(3).ok();
        Self { stamps, raises, recent: VecDeque::new(), drained: 0, nanos }
    }

    /// The guest begins to drain.
    pub(crate) fn look(&mut self) {
        self.raises.take(&mut self.recent);
    }

    /// A frame came in `chains` used entries; returns when the guest learned of it.
    pub(crate) fn drained(&mut self, chains: u16) -> Instant {
        let entry = self.drained.wrapping_add(chains.wrapping_sub(1));
        self.drained = self.drained.wrapping_add(chains);
        while let Some(raise) = self.recent.front() {
            // The ring has at most 2^15 entries, so a distance below that is one forward.
            let beyond = raise.used.wrapping_sub(entry);
            if (1..=1 << 15).contains(&beyond) {
                return raise.at;
            }
            self.recent.pop_front();
        }
        Instant::now()
    }

    /// That frame had this number.
    pub(crate) fn record(&mut self, number: u64, learned: Instant) {
        if let Some(histogram) = &mut self.nanos {
            // It grows as it must, so nothing is too long for it.
            let _ = histogram.record(nanos(learned.saturating_duration_since(self.stamps.at(number))));
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let histogram = self.nanos.as_ref().filter(|histogram| !histogram.is_empty());
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let at = |quantile| histogram.map(|histogram| micros(histogram.value_at_quantile(quantile)));
        Quantiles { p50: at(0.5), p99: at(0.99), max: histogram.map(|histogram| micros(histogram.max())) }
    }
}

/// What most frames took, what almost all took, and what the slowest took, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    //! Which interrupt announces which frame.

    use super::*;

    fn latency() -> (Latency, Raises) {
        let raises = Raises::default();
        (Latency::new(Arc::new(Stamps::new()), raises.clone()), raises)
    }

    #[test]
    fn a_frame_is_announced_by_the_first_interrupt_that_covers_it() {
        let (mut latency, raises) = latency();
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_millis(1));
        raises.push(Raise { at: early, used: 2 });
        raises.push(Raise { at: late, used: 5 });
        latency.look();
        assert_eq!([latency.drained(1), latency.drained(1)], [early, early]);
        assert_eq!(latency.drained(2), late, "a frame of two buffers");
        assert_eq!(latency.drained(1), late);
        let found = latency.drained(1);
        assert!(found > early && found != late, "no interrupt covers the next one");
    }

    #[test]
    fn an_interrupt_of_the_past_announces_nothing_and_the_index_wraps() {
        let (mut latency, raises) = latency();
        let past = Instant::now();
        latency.drained(u16::MAX);
        raises.push(Raise { at: past, used: 60_000 });
        latency.look();
        assert_ne!(latency.drained(1), past);
        raises.push(Raise { at: past, used: 1 });
        latency.look();
        assert_eq!(latency.drained(1), past);
        assert_ne!(latency.drained(1), past);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let (mut latency, _) = latency();
        assert!(latency.quantiles().p50.is_none());
        let sent = latency.stamps.epoch;
        latency.stamps.sending(0..100, sent);
        for number in 0..100 {
            latency.record(number, sent + Duration::from_micros(number + 1));
        }
        let Quantiles { p50, p99, max } = latency.quantiles();
        let near =
            |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found / wanted - 1.0).abs() < 0.01);
        assert!(near(p50, 50.0) && near(p99, 99.0) && near(max, 100.0), "{p50:?} {p99:?} {max:?}");
    }
}
