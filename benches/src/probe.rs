//! How far apart the two cores are right now: the round trip of a cache line between them.
//!
//! On a virtual machine the cores move under one's feet, and every figure that crosses them follows. A round
//! that crosses cores is bracketed by two probes, and kept only when both say the same.

#![allow(unsafe_code, reason = "a thread is tied to a core by a system call")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use crate::Result;

const TRIPS: u32 = 2000;
const TRIES: usize = 5;

/// Where the two cores are to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Distance {
    /// Round trips below 200 ns.
    Near,
    /// Round trips above 300 ns.
    Far,
    /// In between: a moving target.
    Unclear,
}

impl Distance {
    /// What a round trip of so many nanoseconds means.
    pub(crate) fn of(round_trip: f64) -> Self {
        match round_trip {
            ns if ns < 200.0 => Self::Near,
            ns if ns > 300.0 => Self::Far,
            _ => Self::Unclear,
        }
    }
}

/// The shortest of a few means of many round trips between core 0 and core 1, in nanoseconds; takes
/// milliseconds.
pub(crate) fn round_trip() -> f64 {
    (0..TRIES).map(|_| ping_pong()).fold(f64::INFINITY, f64::min)
}

/// Runs `round` between two probes until both say the same, a few times at most; gives its result and the
/// probes' mean, or nothing when the cores did not hold still.
pub(crate) fn bracketed<T>(mut round: impl FnMut() -> Result<T>) -> Result<Option<(T, f64)>> {
    for _ in 0..4 {
        let before = round_trip();
        let result = round()?;
        let after = round_trip();
        if Distance::of(before) == Distance::of(after) && Distance::of(before) != Distance::Unclear {
            return Ok(Some((result, f64::midpoint(before, after))));
        }
        eprintln!("  the cores moved ({before:.0} ns, then {after:.0} ns): round dropped");
    }
    Ok(None)
}

fn ping_pong() -> f64 {
    let ball = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            bounce(&ball, 1);
        });
        let player = scope.spawn(|| {
            pin(0);
            let start = Instant::now();
            bounce(&ball, 0);
            start.elapsed()
        });
        player.join().map_or(f64::INFINITY, |took| took.as_nanos() as f64 / f64::from(TRIPS))
    })
}

/// Waits for the ball to have this parity, and hits it, until the trips are done.
fn bounce(ball: &AtomicU32, parity: u32) {
    for trip in 0..TRIPS {
        let mine = 2 * trip + parity;
        let mut spins = 0_u32;
        while ball.load(Ordering::Acquire) != mine {
            spins += 1;
            // Only one core, or the other player was taken off it: do not spin for ever on its time.
            if spins.is_multiple_of(100_000) {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
        ball.store(mine + 1, Ordering::Release);
    }
}

/// Ties this thread to a core; without that core it stays where it is.
fn pin(core: usize) {
    // SAFETY: a set of cores is plain data, all zeros is the empty one.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is far below the capacity of the set.
    unsafe { libc::CPU_SET(core, &mut cores) };
    // SAFETY: the set lives through the call and its size is given.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores) };
}
