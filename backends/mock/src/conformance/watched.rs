//! The suite of [`FrameSource::watch`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use netrx::source::{Watch, Watched};
use netrx::{Features, FrameSource, Progress};

use super::source::{Feeder, QUIET, STUCK, guest};
use crate::{Shape, traffic};

/// How often the suite looks at what was named.
const LOOK: Duration = Duration::from_millis(1);

/// Runs the suite for a source that can be waited for together with others, beside that of each source: `make` gives an
/// open, empty source and what feeds it.
pub fn watched_source<S: FrameSource, F: Feeder>(make: impl Fn() -> (S, F)) {
    ends_a_watch(&make, "a frame", |feeder, _| feeder.send(&traffic::frame(0, 60)));
    ends_a_watch(&make, "a wake of its own waker", |_, waker| waker.wake_by_ref());
}

/// Both what comes before the source was watched, and what comes later.
fn ends_a_watch<S: FrameSource, F: Feeder>(
    make: &impl Fn() -> (S, F),
    what: &str,
    happens: impl Fn(&mut F, &Waker),
) {
    for before in [true, false] {
        let (mut source, mut feeder) = make();
        run_empty(&mut source);
        let (own, told) = (source.waker(), Arc::<Told>::default());
        let waker = Waker::from(Arc::clone(&told));
        let mut watch = Watch::new(&waker);
        if before {
            happens(&mut feeder, &own);
        }
        assert_eq!(source.watch(&mut watch), Watched::Yes, "it can be watched");
        if !before {
            assert!(!ends_within(QUIET, &watch, &told), "nothing that it named comes without a reason");
            happens(&mut feeder, &own);
        }
        assert!(
            ends_within(STUCK, &watch, &told),
            "{what} wakes the waker of the watch, or comes by what was named in it"
        );
        let waited = source.wait(Some(Instant::now()));
        assert!(waited.is_ok(), "a wait takes note of it: {waited:?}");
    }
}

fn run_empty(source: &mut impl FrameSource) {
    let mut rig = guest(16, Features::VERSION_1, Shape::single(2048));
    rig.driver.post(16);
    let polled = rig.poll(source);
    assert!(matches!(polled, Ok(Progress::Idle)), "an empty source is idle: {polled:?}");
}

/// Whether the waker that was handed to a source was woken.
#[derive(Default)]
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn ends_within(at_most: Duration, watch: &Watch<'_>, told: &Told) -> bool {
    let begin = Instant::now();
    while !has_come(watch, told) {
        if begin.elapsed() > at_most {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

fn has_come(watch: &Watch<'_>, told: &Told) -> bool {
    let is_due = watch.deadline().is_some_and(|time| time <= Instant::now());
    watch.is_ready() || is_due || told.0.load(Ordering::Acquire) || is_readable(watch)
}

#[cfg(unix)]
fn is_readable(watch: &Watch<'_>) -> bool {
    watch.descriptors().iter().any(|descriptor| crate::sys::is_readable(*descriptor))
}

#[cfg(not(unix))]
fn is_readable(_: &Watch<'_>) -> bool {
    false
}
