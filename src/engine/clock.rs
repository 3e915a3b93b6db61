//! Where an engine has the time from.

use std::time::Instant;

/// Tells an engine the time, within a turn.
///
/// An [`Instant`] is a clock that stands still: the time at which the turn begins, for those who have it anyway and whose
/// turns are short.
pub trait Clock {
    /// The time, which only ever goes forward.
    fn now(&self) -> Instant;
}

impl Clock for Instant {
    #[inline]
    fn now(&self) -> Instant {
        *self
    }
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Instant {
        Instant::now()
    }
}
