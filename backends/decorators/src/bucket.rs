//! A token bucket: a pure function of the counts and the times that it is given.
//!
//! ```text
//! level
//! burst  ____      ____     full: time alone adds nothing
//!            \    /
//! 1      . . .\../. . . .   the next one may pass from here on
//! 0            \/           the one that reached the limit may be larger than what was left
//! ```
//!
//! Levels are whole numbers of tokens times 10^9, so that a rate times nanoseconds is exact and nothing is lost to
//! rounding, however often it is asked.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// What a token is worth in a level.
const TOKEN: i128 = 1_000_000_000;

/// No debt is waited out in one sleep that is longer: not every system's clock can tell a time that is centuries ahead.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How much may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So much a second in the long run.
    pub per_second: NonZeroU64,
    /// So much at once after a pause, and at the start.
    pub burst: NonZeroU64,
}

/// A bucket that fills with time and is emptied by what passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    level: i128,
    /// When the level was right; nothing before the first look.
    at: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, level: full(rate), at: None }
    }

    /// Adds what has become due until `now`. Time does not go back: an earlier `now` adds nothing.
    pub(crate) fn refill(&mut self, now: Instant) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let added = i128::from(self.rate.per_second.get()).saturating_mul(nanos(passed));
        self.level = self.level.saturating_add(added).min(full(self.rate));
        self.at = self.at.max(Some(now));
    }

    /// Whole tokens that are there.
    pub(crate) fn tokens(&self) -> u64 {
        u64::try_from(self.level.div_euclid(TOKEN)).unwrap_or(0)
    }

    /// Takes tokens out, also more than there are.
    pub(crate) fn charge(&mut self, tokens: u64) {
        self.level -= i128::from(tokens) * TOKEN;
    }

    /// When there will be a token, or in a year if that is later; `None` if there is one.
    pub(crate) fn due(&self) -> Option<Instant> {
        let missing = TOKEN - self.level;
        let at = self.at.filter(|_| missing > 0)?;
        let rate = i128::from(self.rate.per_second.get());
        let wait = u64::try_from((missing + rate - 1) / rate).unwrap_or(u64::MAX);
        Some(at + Duration::from_nanos(wait).min(FAR))
    }
}

fn full(rate: Rate) -> i128 {
    i128::from(rate.burst.get()) * TOKEN
}

/// Neither overflows: a duration has fewer than 2^94 nanoseconds.
fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: u64, burst: u64) -> Rate {
        let some = |count| NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN);
        Rate { per_second: some(per_second), burst: some(burst) }
    }

    #[test]
    fn a_full_bucket_waits_for_nothing_and_grows_no_fuller() {
        let (mut bucket, begin) = (Bucket::new(rate(10, 5)), Instant::now());
        bucket.refill(begin);
        assert_eq!((bucket.tokens(), bucket.due()), (5, None));
        bucket.refill(begin + Duration::from_secs(1000));
        assert_eq!(bucket.tokens(), 5);
    }

    #[test]
    fn a_debt_is_paid_back_before_the_next_token() {
        let (mut bucket, begin) = (Bucket::new(rate(1000, 1)), Instant::now());
        bucket.refill(begin);
        bucket.charge(1514);
        assert_eq!((bucket.tokens(), bucket.due()), (0, Some(begin + Duration::from_millis(1514))));
        bucket.refill(begin + Duration::from_millis(1514));
        assert_eq!((bucket.tokens(), bucket.due()), (1, None));
    }

    #[test]
    fn the_largest_debt_is_waited_for_and_does_not_overflow() {
        let (mut bucket, begin) = (Bucket::new(rate(1, 1)), Instant::now());
        bucket.refill(begin);
        (0..1000).for_each(|_| bucket.charge(u64::MAX));
        assert_eq!((bucket.tokens(), bucket.due()), (0, Some(begin + FAR)));
        let (mut bucket, later) = (Bucket::new(rate(u64::MAX, u64::MAX)), begin + FAR);
        bucket.refill(begin);
        bucket.charge(u64::MAX);
        assert_eq!(bucket.due(), Some(begin + Duration::from_nanos(1)));
        bucket.refill(later);
        assert_eq!((bucket.tokens(), bucket.due()), (u64::MAX, None));
    }

    #[test]
    fn time_does_not_go_back() {
        let (mut bucket, begin) = (Bucket::new(rate(1000, 10)), Instant::now());
        bucket.refill(begin + Duration::from_secs(1));
        bucket.charge(10);
        bucket.refill(begin);
        bucket.refill(begin + Duration::from_secs(1));
        assert_eq!(bucket.tokens(), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_second in 1..u64::MAX, burst in 1..u64::MAX,
            steps in proptest::collection::vec((0..10_000_000_000_u64, 1..5000_u64), 1..100),
        ) {
            let (mut bucket, begin) = (Bucket::new(rate(per_second, burst)), Instant::now());
            let (mut now, mut passed, mut last) = (begin, 0_u128, 0);
            for (wait, want) in steps {
                now += Duration::from_nanos(wait);
                bucket.refill(now);
                if bucket.tokens() > 0 {
                    bucket.charge(want);
                    (passed, last) = (passed + u128::from(want), want);
                }
            }
            let due = u128::from(per_second) * (now - begin).as_nanos() / 1_000_000_000;
            prop_assert!(passed < u128::from(burst) + due + 1 + u128::from(last));
        }

        #[test]
        fn the_next_token_is_there_when_it_is_due_and_not_before(
            per_second in 1..10_000_000_000_u64, burst in 1..1000_u64, debt in 1..100_000_u64,
        ) {
            let (mut bucket, begin) = (Bucket::new(rate(per_second, burst)), Instant::now());
            bucket.refill(begin);
            bucket.charge(burst + debt);
            let Some(due) = bucket.due() else { return Err(TestCaseError::fail("it is empty")) };
            let (mut early, mut late) = (bucket, bucket);
            early.refill(due - Duration::from_nanos(1));
            late.refill(due);
            prop_assert_eq!(early.tokens(), 0);
            prop_assert!(late.tokens() >= 1);
        }
    }
}
