//! Waiting for what another thread is about to do.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything is waited for before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// How often is looked.
const PAUSE: Duration = Duration::from_micros(200);

/// Waits until `is_so`.
///
/// # Panics
/// After 20 seconds, with `what` was to be so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < STUCK, "in vain: {what}");
        thread::sleep(PAUSE);
    }
}
