//! Made-up time against the rules.

mod simulation;

use super::*;

fn after(micros: u64, start: Instant) -> Instant {
    start + Duration::from_micros(micros)
}

#[test]
fn nothing_owed_is_never_due() {
    let now = Instant::now();
    let moderator = Moderator::new(Moderation::NONE);
    assert!(!moderator.is_due(Load::Quiet, now));
    assert!(!moderator.is_due(Load::Over, now));
    assert!(!moderator.is_due(Load::Busy, after(1_000_000, now)));
}

#[test]
fn a_lone_frame_is_due_at_once() {
    let now = Instant::now();
    for moderation in [Moderation::default(), Moderation::adaptive(Duration::from_millis(1))] {
        let mut moderator = Moderator::new(moderation);
        moderator.published(1, now);
        assert!(moderator.is_due(Load::Quiet, now));
    }
}

#[test]
fn load_holds_back_until_either_limit() {
    let start = Instant::now();
    let limits = Moderation { max_frames: 10, max_delay: Duration::from_micros(50), ..Moderation::default() };
    let mut moderator = Moderator::new(limits);
    moderator.published(9, start);
    assert!(!moderator.is_due(Load::Busy, after(49, start)));
    assert!(moderator.is_due(Load::Busy, after(50, start)), "the delay counts from the first frame");
    moderator.published(1, after(10, start));
    assert!(moderator.is_due(Load::Busy, after(10, start)), "ten frames are owed");
    moderator.suppressed();
    assert!(!moderator.is_due(Load::Quiet, after(60, start)));
}

#[test]
fn a_forced_interrupt_needs_no_frame() {
    let now = Instant::now();
    let mut moderator = Moderator::new(Moderation::default());
    moderator.force();
    assert!(moderator.is_due(Load::Busy, now));
}

/// Interrupts for a frame every `gap` microseconds, as they are due; returns the moderator and the time after.
fn under_load(bound: u64, gap: u64, frames: u64) -> (Moderator, Instant) {
    let mut moderator = Moderator::new(Moderation::adaptive(Duration::from_micros(bound)));
    let mut now = Instant::now();
    for _ in 0..frames {
        now = after(gap, now);
        moderator.published(1, now);
        if moderator.is_due(Load::Quiet, now) {
            moderator.raised(now);
        }
    }
    (moderator, now)
}

#[test]
fn the_window_grows_to_its_bound_under_load_and_no_further() {
    let (mut moderator, now) = under_load(80, 1, 1000);
    moderator.published(1, now);
    let end = moderator.held_until();
    assert!(end.is_some_and(|end| end > now && end <= after(80, now)), "{end:?} at {now:?}");
    assert_eq!(moderator.window.len, Duration::from_micros(80));
}

#[test]
fn few_frames_are_never_held_back() {
    let (moderator, _) = under_load(80, 11, 1000);
    assert_eq!(moderator.window.len, Duration::ZERO, "80 us would gather but seven");
}

#[test]
fn a_lone_frame_after_load_does_not_wait_and_ends_the_window() {
    let (mut moderator, now) = under_load(80, 1, 1000);
    let later = after(1000, now);
    moderator.published(1, later);
    assert!(moderator.is_due(Load::Quiet, later));
    moderator.raised(later);
    assert_eq!(moderator.window.len, Duration::ZERO);
}

#[test]
fn a_full_ring_and_the_end_are_not_held_back() {
    let (mut moderator, now) = under_load(80, 1, 1000);
    moderator.published(1, now);
    assert!(moderator.is_due(Load::Over, now));
    assert!(!moderator.is_due(Load::Quiet, now));
    assert!(!moderator.is_due(Load::Busy, now));
}

#[test]
fn frames_that_the_guest_took_unasked_count_as_load() {
    let start = Instant::now();
    let mut moderator = Moderator::new(Moderation::adaptive(Duration::from_micros(80)));
    moderator.published(1, start);
    moderator.raised(start);
    moderator.published(50, after(1, start));
    moderator.suppressed();
    moderator.published(1, after(60, start));
    moderator.raised(after(60, start));
    assert!(!moderator.window.len.is_zero());
}
