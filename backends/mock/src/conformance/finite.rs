//! The suite of a [`FrameSource`] that has all of its frames from the start.

use netrx::{Features, FrameSource, Progress};

use super::closing::stays_closed;
use super::source::{
    a_wake_before_a_wait_is_remembered, a_wake_during_a_wait_ends_it, guest, take_after_starving,
};
use crate::{Shape, traffic};

/// Runs the suite: `make` gives a source that has these frames, and closes after the last one.
pub fn finite_source<S: FrameSource + 'static>(make: impl Fn(&[Vec<u8>]) -> S) {
    frames_arrive_and_it_closes(&make, Features::VERSION_1, Shape::single(2048));
    frames_arrive_and_it_closes(&make, Features::NONE, Shape::chained(&[1, 11, 3, 2033]));
    frames_arrive_and_it_closes(&make, Features::VERSION_1 | Features::MRG_RXBUF, Shape::single(256));
    a_full_guest_loses_nothing(&make);
    a_wake_before_a_wait_is_remembered((closed(&make), ()));
    a_wake_during_a_wait_ends_it((closed(&make), ()));
}

fn frames(lens: &[usize]) -> Vec<Vec<u8>> {
    let frame = |(number, len): (u64, &usize)| traffic::frame(number, *len);
    (0..).zip(lens).map(frame).collect()
}

fn frames_arrive_and_it_closes<S: FrameSource>(
    make: &impl Fn(&[Vec<u8>]) -> S,
    features: Features,
    shape: Shape,
) {
    let mut rig = guest(32, features, shape);
    let sent = frames(&[14, 15, 22, 60, 64, 255, 256, 257, 1000, 1514].repeat(20));
    let mut source = make(&sent);
    let mut arrived = Vec::new();
    loop {
        let turn = rig.turn(&mut source);
        let Ok((progress, frames)) = turn else { panic!("a turn works: {turn:?}") };
        arrived.extend(frames);
        if matches!(progress, Progress::Closed | Progress::Idle) {
            assert_eq!(progress, Progress::Closed, "it never runs empty, it closes");
            break;
        }
    }
    assert!(arrived == sent, "{} of {} frames, all whole and in order", arrived.len(), sent.len());
    let checked = rig.check();
    assert!(checked.is_ok(), "nothing else was written, and the ledger balances: {checked:?}");
}

fn a_full_guest_loses_nothing<S: FrameSource>(make: &impl Fn(&[Vec<u8>]) -> S) {
    let sent = frames(&[100; 8]);
    assert!(take_after_starving(&mut make(&sent), 8) == sent, "all 8, in order");
}

/// A source that has said that it is closed, twice.
fn closed<S: FrameSource>(make: &impl Fn(&[Vec<u8>]) -> S) -> S {
    let mut source = make(&[]);
    stays_closed(&mut source);
    source
}
