//! What went wrong in other receive paths, and hostile guests: one row each, and the verdict of netrx.
//!
//! Every row is played on memory from the heap and on memory mapped between two guard pages, beside a naive device on a
//! copy of it that must do the same byte for byte; at the end the memory is audited. The test prints the table, and
//! compares it with the one that is written down beside the rows, so that a change of behaviour is a readable diff.
//!
//! The rows' numbers are those of a list of known failures of other receive paths, from public reports:
//!
//! | KF | what happened there |
//! | --- | --- |
//! | 1, 2, 3 | the queue froze: ring and source both full; a burst above the ring's size; a refill in part |
//! | 5 | after a restore, both sides waited |
//! | 8 | used entries were withheld while waiting for the guest |
//! | 9 | indices modulo the size cannot tell full from empty |
//! | 12 | frames before the driver was ready switched interrupts off for ever |
//! | 14, 15, 16 | a frame cut to its chain; used lengths above what was written; an id that was never posted |
//! | 18, 19 | large frames without segmentation metadata; offloads by offered instead of acknowledged features |
//! | 21, 23, 27 | interrupts per frame; a busy loop with an empty ring; a lone frame's interrupt held back |
//! | 26 | a page size was assumed |
//! | 28, 29, 30 | an index jump, a cyclic chain, a malformed chain: the queue spun or died |
//! | 33 | the header patched after the chain was released |
//! | 34, 35, 36 | work without bound; one head in flight twice; a checksum's place outside of the frame |
//! | 39, 40 | a header assumed to fit the first descriptor; short chains, bad heads, offloads unasked for, torn indices |
//!
//! The others on that list are not the ring's alone: which tests prove them is written in `elsewhere`, held against what
//! there is, and printed as further rows.

mod chains;
mod elsewhere;
mod frames;
mod racing;
mod scene;
mod stalls;
mod work;

use netrx_mock::Placing;
use scene::{Ground, Row, Set};

fn rows() -> Vec<Row> {
    [chains::ROWS, frames::ROWS, stalls::ROWS, work::ROWS, racing::ROWS].concat()
}

fn line(name: &str, verdict: &str) -> String {
    format!("{name:<58} {verdict}\n")
}

/// What becomes of a row.
fn played(row: &Row, set: &Set) -> String {
    match std::panic::catch_unwind(|| (row.play)(set).map_err(|error| error.to_string())) {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => format!("FAILED: {error}"),
        Err(_) => "PANICKED".into(),
    }
}

/// The table, one line a row.
fn table(set: &Set) -> String {
    let played = rows().iter().map(|row| line(row.name, &played(row, set))).collect::<String>();
    played + &elsewhere::found()
}

/// The same, as it is written down.
fn expected() -> String {
    let played = rows().iter().map(|row| line(row.name, row.verdict)).collect::<String>();
    played + &elsewhere::expected()
}

fn compare(set: &Set) {
    let (found, expected) = (table(set), expected());
    println!("{found}");
    assert_eq!(found.lines().count(), expected.lines().count(), "rows found and written down");
    let lines = found.lines().zip(expected.lines());
    let differing = lines.filter(|(found, expected)| found != expected);
    let differing: String = differing.map(|(found, expected)| format!("\n- {expected}\n+ {found}")).collect();
    assert!(differing.is_empty(), "the verdicts have changed:{differing}\n");
}

#[test]
fn on_the_heap() {
    compare(&Set::on(Ground::Heap));
}

/// Wherever a row does not say how its source places frames.
#[test]
fn on_the_heap_in_bursts() {
    compare(&Set { placing: Placing::Burst(8), ..Set::on(Ground::Heap) });
}

#[cfg(unix)]
#[test]
fn between_guard_pages() {
    compare(&Set::on(Ground::Guarded));
}
