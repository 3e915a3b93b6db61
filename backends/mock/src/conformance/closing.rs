//! The suite of a [`FrameSource`] that closes once its far end is gone.

use netrx::{Features, FrameSource, Progress};

use super::source::{QUIET, STUCK, guest, run_empty, take, waiting};
use crate::Shape;

/// Runs the suite, beside that of each source: `make` gives an open, empty source, and what has to be dropped for it to close.
pub fn closing_source<S: FrameSource + 'static, K>(make: impl FnOnce() -> (S, K)) {
    let (mut source, far) = make();
    run_empty(&mut source);
    let answer = waiting(source, None);
    assert!(answer.recv_timeout(QUIET).is_err(), "nothing ends the wait but its reason");
    drop(far);
    let Ok((mut source, true)) = answer.recv_timeout(STUCK) else { panic!("the end ends a wait") };
    let mut rig = guest(16, Features::VERSION_1, Shape::single(2048));
    take(&mut rig, &mut source, usize::MAX);
    stays_closed(&mut source);
}

pub(super) fn stays_closed(source: &mut impl FrameSource) {
    let mut rig = guest(4, Features::VERSION_1, Shape::single(2048));
    rig.driver.post(4);
    for _ in 0..2 {
        let polled = rig.poll(source);
        assert!(matches!(polled, Ok(Progress::Closed)), "it has nothing, and stays closed: {polled:?}");
    }
}
