//! Whether a run went well.

use netrx::DropReason;
use netrx::engine::{Stats, WhenFull};
use netrx::worker::End;

use crate::report::Run;
use crate::verify::Verifier;

/// One line for each thing that is not as it should be.
pub(crate) fn failures(run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    if run.stuck {
        found.push("nothing moved any more".to_owned());
    }
    match &run.worked.end {
        End::Stopped | End::Closed => {}
        End::Failed(error) => found.push(format!("the worker failed: {error}")),
        End::Panicked(message) => found.push(format!("the worker panicked: {message}")),
        other => found.push(format!("the worker ended: {other:?}")),
    }
    found.extend(run.guest.violation.map(|violation| format!("the guest complains: {violation}")));
    found.extend(
        run.guest.driver.audit().err().map(|trespass| format!("outside of the guest's buffers, {trespass}")),
    );
    if !run.worked.stats.is_balanced() {
        found.push("the worker's counters do not balance".to_owned());
    }
    if run.guest.lost_interrupts > 0 {
        found.push(format!("interrupts that did not come: {}", run.guest.lost_interrupts));
    }
    found.extend(undue_drops(&run.worked.stats, run.plan.when_full));
    let verifier = &run.guest.desk.verifier;
    found.extend(
        Tally { sent: run.stamps.sent(), dropped: run.worked.stats.frames_dropped(), verifier }.failures(),
    );
    found
}

/// What was sent has to be what arrived and what was dropped.
struct Tally<'v> {
    sent: u64,
    dropped: u64,
    verifier: &'v Verifier,
}

impl Tally<'_> {
    fn failures(&self) -> Vec<String> {
        let accounted = self.verifier.arrived() + self.dropped;
        let skipped = self.verifier.skipped().saturating_sub(self.dropped);
        let found = [
            say(self.verifier.corrupted(), "arrived and are not what was sent"),
            say(self.sent.saturating_sub(accounted), "were lost"),
            say(accounted.saturating_sub(self.sent), "arrived or were dropped, and were never sent"),
            say(skipped, "did not arrive in their place"),
            self.is_void().then(|| format!("not one of the {} frames that were sent arrived", self.sent)),
        ];
        found.into_iter().flatten().collect()
    }

    /// Dropping by choice is no excuse: the guest had room before the first frame.
    fn is_void(&self) -> bool {
        self.sent > 0 && self.verifier.arrived() == 0
    }
}

/// Frames may be dropped for want of room if the user chose so, and for no other reason.
fn undue_drops(stats: &Stats, when_full: WhenFull) -> Vec<String> {
    let chosen = |reason| reason == DropReason::RingFull && when_full == WhenFull::DropNewest;
    let undue = DropReason::ALL.into_iter().filter(|reason| !chosen(*reason));
    undue.filter_map(|reason| say(stats.dropped(reason), &format!("were dropped, {reason}"))).collect()
}

fn say(frames: u64, what: &str) -> Option<String> {
    (frames > 0).then(|| format!("frames that {what}: {frames}"))
}

#[cfg(test)]
mod tests {
    //! What a guest may get of ten captured frames, sent twice, and what is said of it.

    use std::sync::Arc;
    use std::time::Instant;

    use netrx_pcap::Capture;

    use super::*;
    use crate::latency::Stamps;
    use crate::traffic::Traffic;

    const HEADER: [u8; 12] = [0; 12];

    fn traffic() -> Arc<Traffic> {
        let sample = Capture::parse(crate::args::SAMPLE).unwrap_or_default();
        Arc::new(Traffic::Capture(Arc::new(sample)))
    }

    /// The verdict on these frames, of which `dropped` were dropped.
    fn verdict(sent: u64, arrived: impl IntoIterator<Item = Vec<u8>>, dropped: u64) -> Vec<String> {
        let stamps = Arc::new(Stamps::new());
        stamps.sending(0..sent, Instant::now());
        let mut verifier = Verifier::new(traffic(), stamps);
        for frame in arrived {
            verifier.check(&HEADER, &frame);
        }
        Tally { sent, dropped, verifier: &verifier }.failures()
    }

    fn frames(numbers: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
        numbers.into_iter().map(|number| traffic().frame(number).as_ref().to_vec()).collect()
    }

    #[test]
    fn all_in_order_is_well() {
        assert!(verdict(1000, frames(0..1000), 0).is_empty());
        assert!(
            verdict(1000, frames((0..300).chain(350..400).chain(500..1000)), 150).is_empty(),
            "dropped ones"
        );
    }

    #[test]
    fn a_lost_frame_is_told_of() {
        for lost in [0, 1, 499, 998, 999] {
            let found = verdict(1000, frames((0..1000).filter(|number| *number != lost)), 0);
            assert!(found.contains(&"frames that were lost: 1".to_owned()), "{lost}: {found:?}");
        }
    }

    #[test]
    fn that_nothing_arrived_is_told_of_last() {
        for dropped in [0, 600, 1000] {
            let found = verdict(1000, [], dropped);
            let last = "not one of the 1000 frames that were sent arrived";
            assert_eq!(found.last().map(String::as_str), Some(last), "{dropped}: {found:?}");
        }
        assert!(verdict(0, [], 0).is_empty(), "nothing was sent");
    }

    #[test]
    fn a_frame_that_differs_is_told_of() {
        let differ: [fn(&mut Vec<u8>); 4] =
            [|frame| frame[20] ^= 1, |frame| frame.push(0), |frame| frame.truncate(30), Vec::clear];
        for differ in differ {
            let mut arrived = frames(0..1000);
            differ(&mut arrived[700]);
            assert_eq!(verdict(1000, arrived, 0), ["frames that arrived and are not what was sent: 1"]);
        }
    }

    #[test]
    fn another_order_is_told_of() {
        let mut swapped = frames(0..1000);
        swapped.swap(100, 103);
        assert!(!verdict(1000, swapped, 0).is_empty());
        let twice = frames((0..500).chain(499..999));
        assert!(!verdict(1000, twice, 0).is_empty(), "one came twice, the last one not at all");
        assert!(!verdict(1000, frames((0..1000).chain([999])), 0).is_empty(), "one came twice");
    }

    #[test]
    fn a_header_that_says_something_is_told_of() {
        let stamps = Arc::new(Stamps::new());
        stamps.sending(0..1, Instant::now());
        let mut verifier = Verifier::new(traffic(), stamps);
        let mut header = HEADER;
        header[0] = 1;
        assert_eq!(verifier.check(&header, traffic().frame(0).as_ref()), None);
    }

    #[test]
    fn what_was_dropped_before_is_not_expected_any_more() {
        let stamps = Arc::new(Stamps::new());
        stamps.sending(0..2000, Instant::now());
        let mut verifier = Verifier::new(traffic(), stamps);
        assert_eq!(verifier.check(&HEADER, traffic().frame(0).as_ref()), Some(0));
        verifier.dropped_before(1000);
        assert_eq!(verifier.check(&HEADER, traffic().frame(1234).as_ref()), Some(1234), "not a round before");
        assert_eq!(verifier.skipped(), 1233);
    }
}
