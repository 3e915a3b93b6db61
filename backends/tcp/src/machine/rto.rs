//! How long to wait for an acknowledgement (RFC 6298).

use std::time::Duration;

/// The retransmission timeout of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rto {
    /// Smoothed round trip and its variation, once one was measured.
    measured: Option<(Duration, Duration)>,
    /// How often it was doubled.
    doubled: u32,
}

impl Rto {
    /// Before anything was measured.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// The shortest. The RFC asks for a second; guests delay acknowledgements by no more than this, and the way to
    /// them is short.
    pub const LEAST: Duration = Duration::from_millis(200);
    /// The longest, backed off or not.
    pub const MOST: Duration = Duration::from_secs(60);

    /// Nothing is measured yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { measured: None, doubled: 0 }
    }

    /// The timeout now.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let plain = self.measured.map_or(Self::FIRST, |(smooth, variation)| smooth + 4 * variation);
        let plain = plain.clamp(Self::LEAST, Self::MOST);
        plain.saturating_mul(1 << self.doubled.min(16)).min(Self::MOST)
    }

    /// An acknowledgement came this long after what it is for was sent, once.
    pub fn measure(&mut self, round_trip: Duration) {
        let (smooth, variation) = match self.measured {
            None => (round_trip, round_trip / 2),
            Some((smooth, variation)) => {
                let error = smooth.abs_diff(round_trip);
                ((smooth * 7 + round_trip) / 8, (variation * 3 + error) / 4)
            }
        };
        self.measured = Some((smooth, variation));
    }

    /// The time was over without an answer: the next one is twice as long.
    pub fn back_off(&mut self) {
        self.doubled = self.doubled.saturating_add(1);
    }

    /// The guest answers again.
    pub fn answered(&mut self) {
        self.doubled = 0;
    }
}

impl Default for Rto {
    fn default() -> Self {
        Self::new()
    }
}
