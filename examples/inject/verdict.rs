//! Whether a run went well.

use netrx::DropReason;
use netrx::engine::WhenFull;
use netrx::worker::End;

use crate::report::Run;

/// One line for each thing that is not as it should be.
pub(crate) fn failures(run: &Run<'_>) -> Vec<String> {
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
    found.extend(missing(run));
    found.extend(say(run.guest.desk.verifier.corrupted(), "arrived that were not what was sent"));
    found.extend(undue_drops(run));
    if run.guest.lost_interrupts > 0 {
        found.push(format!("interrupts that did not come: {}", run.guest.lost_interrupts));
    }
    found
}

/// What was sent is what arrived and what was dropped, and nothing was skipped but what was dropped.
fn missing(run: &Run<'_>) -> Vec<String> {
    let (sent, verifier) = (run.stamps.sent(), &run.guest.desk.verifier);
    let dropped = run.worked.stats.frames_dropped();
    let accounted = verifier.arrived() + dropped;
    let mut found = Vec::new();
    found.extend(say(sent.saturating_sub(accounted), "were lost"));
    found.extend(say(accounted.saturating_sub(sent), "arrived or were dropped that were never sent"));
    if found.is_empty() {
        found.extend(say(verifier.skipped().saturating_sub(dropped), "were left out on the way"));
    }
    if !run.worked.stats.is_balanced() {
        found.push("the worker's counters do not balance".to_owned());
    }
    found
}

/// Frames may be dropped for want of room if the user chose so, and for no other reason.
fn undue_drops(run: &Run<'_>) -> Vec<String> {
    let chosen = |reason| reason == DropReason::RingFull && run.plan.when_full == WhenFull::DropNewest;
    let undue = DropReason::ALL.into_iter().filter(|reason| !chosen(*reason));
    undue
        .filter_map(|reason| say(run.worked.stats.dropped(reason), &format!("were dropped: {reason}")))
        .collect()
}

fn say(frames: u64, what: &str) -> Option<String> {
    (frames > 0).then(|| format!("frames that {what}: {frames}"))
}
