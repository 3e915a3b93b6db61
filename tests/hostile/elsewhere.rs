//! The known failures that are proven outside of the table of hostile guests, and by whom.
//!
//! A row says which tests of the repository would fail if netrx had that failure, or why a part of it is left out; the printed
//! table ends with these rows. The tests here fail when one of those is renamed, moved or ignored, and when a failure of the
//! list has a row neither here nor there.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::{fs, io};

/// A known failure, and the tests in one file that prove it.
struct Proof {
    number: u32,
    what: &'static str,
    file: &'static str,
    tests: &'static [&'static str],
}

/// The numbers of the list.
const ALL: RangeInclusive<u32> = 1..=40;

#[rustfmt::skip]
const PROOFS: &[Proof] = &[
    Proof { number: 4, what: "a barrier between avail_event and the available index", file: "tests/loom/tests/avail_event.rs", tests: &["refill_by_flags", "refill_by_event_idx", "partial_refill_by_event_idx"] },
    Proof { number: 4, what: "a barrier between the used index and used_event", file: "tests/loom/tests/used_event.rs", tests: &["by_flags", "by_event_idx"] },
    Proof { number: 6, what: "a restarted queue finds what was posted before, unkicked", file: "tests/slot/life.rs", tests: &["the_cursor_survives"] },
    Proof { number: 7, what: "a kick before the start is not swallowed", file: "tests/slot/life.rs", tests: &["a_kick_without_a_worker_is_harmless", "what_was_ready_before_the_start_is_served"] },
    Proof { number: 10, what: "ENOBUFS, EINTR and EAGAIN are not fatal", file: "backends/socketpair/src/reader/tests.rs", tests: &["what_is_tried_again_loses_nothing", "an_empty_socket_is_left_until_it_is_ready", "a_system_short_of_memory_is_given_a_breather"] },
    Proof { number: 11, what: "frames arrive without a vCPU exit", file: "tests/slot/beside.rs", tests: &["frames_need_no_exit_of_a_vcpu"] },
    Proof { number: 12, what: "frames before DRIVER_OK, through the registers", file: "tests/mmio/life.rs", tests: &["frames_before_the_driver_is_ready_wait"] },
    Proof { number: 13, what: "nothing is dropped from a stream", file: "backends/tcp/tests/waits.rs", tests: &["a_full_guest_loses_nothing"] },
    Proof { number: 13, what: "nothing is dropped from a socket", file: "backends/socketpair/tests/frames.rs", tests: &["frames_that_the_guest_has_no_room_for_stay_in_the_socket"] },
    Proof { number: 13, what: "nothing is dropped from a channel", file: "backends/channel/tests/channel.rs", tests: &["the_bound_refuses_the_sender_and_nothing_is_lost"] },
    Proof { number: 17, what: "socket buffers against the largest frame", file: "backends/socketpair/tests/setup.rs", tests: &["a_buffer_that_can_never_hold_the_frame_is_refused", "a_small_receive_buffer_is_enlarged", "the_far_end_can_be_made_to_fit", "a_pair_has_room_for_its_largest_frame"] },
    Proof { number: 20, what: "a slow guest blocks no other guest", file: "tests/slot/beside.rs", tests: &["a_guest_without_room_holds_up_no_other"] },
    Proof { number: 20, what: "a source in trouble blocks no other source", file: "backends/decorators/tests/merge.rs", tests: &["sources_in_trouble_lose_nothing_and_hold_nobody_up", "of_two_that_have_frames_none_is_ahead_by_more_than_a_quantum_and_a_frame"] },
    Proof { number: 20, what: "a stalled connection blocks no other connection", file: "backends/tcp/tests/costs.rs", tests: &["a_stalled_connection_does_not_hold_up_others"] },
    Proof { number: 22, what: "a level line: raise, acknowledge, lower, and the race", file: "tests/loom/tests/level_irq.rs", tests: &["by_flags", "by_event_idx", "two_reasons_and_an_acknowledgement", "raised_again_while_acknowledged"] },
    Proof { number: 22, what: "the same on threads", file: "tests/mmio/interrupts.rs", tests: &["raised_acknowledged_lowered", "the_line_falls_with_the_last_reason"] },
    Proof { number: 24, what: "a frame that is tried again is charged once", file: "backends/decorators/tests/rate.rs", tests: &["a_frame_is_charged_when_it_is_placed_and_not_when_it_is_offered_again"] },
    Proof { number: 25, what: "no allocations per frame", file: "tests/allocations.rs", tests: &["single_buffers", "chained_buffers", "indirect_buffers", "merged_buffers", "merged_chains", "dropping_the_newest"] },
    Proof { number: 27, what: "an idle worker does not wake", file: "tests/slot/idle.rs", tests: &["an_idle_worker_does_not_wake"] },
    Proof { number: 31, what: "no reference to guest memory", file: "tests/house_rules/main.rs", tests: &["there_is_no_reference_to_guest_memory", "unsafe_stays_on_its_islands"] },
    Proof { number: 32, what: "the registers of a live queue have no effect", file: "src/mmio/bank/tests.rs", tests: &["a_ready_queue_is_frozen", "a_live_queue_can_only_be_stopped"] },
    Proof { number: 32, what: "the engine goes on in the ring that was validated", file: "tests/mmio/life.rs", tests: &["registers_of_a_live_queue_are_frozen"] },
    Proof { number: 36, what: "descriptors stay flat", file: "backends/socketpair/tests/descriptors.rs", tests: &["descriptors_stay_flat"] },
    Proof { number: 37, what: "where the ring stands survives a stop", file: "tests/slot/life.rs", tests: &["the_cursor_survives"] },
    Proof { number: 38, what: "no write after a reset", file: "tests/mmio/life.rs", tests: &["nothing_is_written_after_a_reset"] },
    Proof { number: 38, what: "no write after a stop, however they meet", file: "tests/loom/tests/worker.rs", tests: &["stop_meets_a_busy_worker", "stop_meets_a_starved_worker", "stop_meets_an_idle_worker"] },
    Proof { number: 40, what: "the used index is stored in one piece", file: "tests/loom/tests/used_event.rs", tests: &["an_index_that_carries_by_flags", "an_index_that_carries_by_event_idx"] },
];

/// A part of a failure that is left out, and why.
struct Omission {
    number: u32,
    what: &'static str,
    why: &'static str,
}

#[rustfmt::skip]
const LEFT_OUT: &[Omission] = &[
    Omission { number: 6, what: "reconnecting the socket", why: "nobody speaks vhost-user here" },
    Omission { number: 7, what: "SET_VRING_ENABLE", why: "nobody speaks vhost-user here" },
    Omission { number: 36, what: "hostile messages of a front end", why: "nobody speaks vhost-user here" },
    Omission { number: 37, what: "GET_VRING_BASE", why: "nobody speaks vhost-user here" },
];

impl Proof {
    /// Those of its tests that are not in its file, or do not run.
    fn missing(&self) -> Vec<&'static str> {
        let text = read(self.file).unwrap_or_default();
        let found = tests_of(&text);
        self.tests.iter().copied().filter(|test| !found.contains(test)).collect()
    }

    /// Its verdict, if these tests are missing.
    fn verdict(&self, missing: &[&str]) -> String {
        let (word, tests) = if missing.is_empty() { ("proven", self.tests) } else { ("GONE", missing) };
        format!("{word}: {} in {}", tests.join(", "), self.file)
    }
}

/// The rows of the table, as they are found.
pub(crate) fn found() -> String {
    table(Proof::missing)
}

/// The same, as they are written down.
pub(crate) fn expected() -> String {
    table(|_| Vec::new())
}

fn table(missing: impl Fn(&Proof) -> Vec<&'static str>) -> String {
    let line =
        |number: u32, what: &str, verdict: &str| crate::line(&format!("KF {number:<4}{what}"), verdict);
    let proven = PROOFS.iter().map(|proof| line(proof.number, proof.what, &proof.verdict(&missing(proof))));
    let left_out =
        LEFT_OUT.iter().map(|part| line(part.number, part.what, &format!("left out: {}", part.why)));
    proven.chain(left_out).collect()
}

/// The names of a file's tests, without those that do not run unless asked for.
fn tests_of(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in text.lines().map(str::trim) {
        is_test |= line == "#[test]";
        is_ignored |= line.starts_with("#[ignore");
        if let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next()) {
            if is_test && !is_ignored {
                names.insert(name);
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    names
}

fn read(file: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
}

/// The number that a row's name begins with.
fn number(row: &str) -> Option<u32> {
    row.strip_prefix("KF ")?.split(' ').next()?.parse().ok()
}

#[test]
fn every_proof_is_there() {
    let gone = PROOFS.iter().filter(|proof| !proof.missing().is_empty());
    let gone: String =
        gone.map(|proof| format!("\n  {}: {}", proof.what, proof.verdict(&proof.missing()))).collect();
    assert!(gone.is_empty(), "proofs that are gone:{gone}\n");
    assert!(PROOFS.iter().all(|proof| !proof.tests.is_empty()), "each names its tests");
}

#[test]
fn every_failure_has_its_proof() {
    let rows = crate::rows().iter().filter_map(|row| number(row.name)).collect::<BTreeSet<_>>();
    let proven = rows.into_iter().chain(PROOFS.iter().map(|proof| proof.number)).collect::<BTreeSet<_>>();
    assert_eq!(proven, ALL.collect(), "numbers with a proof (left) and those of the list (right)");
    for Omission { number, what, .. } in LEFT_OUT {
        assert!(proven.contains(number), "KF {number} is more than what is left out: {what}");
    }
}

#[test]
fn a_test_is_known_by_its_attribute() {
    let text = "fn helper() {}\n#[cfg(unix)]\n#[test]\nfn one() {}\n  #[test]\n  #[ignore = \"long\"]\n  fn two() -> X {}\n\
                // fn three()\n#[test]\nfn four<T>() {}";
    assert_eq!(Vec::from_iter(tests_of(text)), ["four", "one"]);
    assert_eq!(number("KF 3   a refill"), Some(3));
    assert_eq!(number("       a buffer"), None);
}
