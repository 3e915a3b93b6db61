//! The suite of [`FrameSource::watch`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use netrx::FrameSource;
use netrx::source::{Watch, Watched};

use super::Events;
use super::source::{MOST_LOOKS, QUIET, STUCK, run_empty, take_all};

/// How often the suite looks at what was named.
const LOOK: Duration = Duration::from_millis(1);

/// Runs the suite for a source that can be waited for together with others, beside that of each source: `make` gives an
/// open, empty source, and its far end.
pub fn watched_source<S: FrameSource, E: Events>(make: impl Fn() -> (S, E)) {
    watched_events(&make);
    ends_a_watch(&make, "a wake of its own waker", 0, |_, waker| waker.wake_by_ref());
    a_wake_outlives_a_recv(make());
}

/// Runs the part of that suite in which something happens: for events that come with the time, however long the rest takes.
pub fn watched_events<S: FrameSource, E: Events>(make: impl Fn() -> (S, E)) {
    for event in E::EVENTS {
        ends_a_watch(&make, event.what, 1, |far, _| (event.happens)(far));
    }
}

/// Both what comes before the source was watched, and what comes later; always from another thread.
fn ends_a_watch<S: FrameSource, E: Events>(
    make: &impl Fn() -> (S, E),
    what: &str,
    brings: usize,
    happens: impl Fn(&mut E, &Waker) + Sync,
) {
    for before in [true, false] {
        let (mut source, mut far) = make();
        falls_quiet(&mut source);
        let own = source.waker();
        let mut happens = || thread::scope(|scope| _ = scope.spawn(|| happens(&mut far, &own)));
        let ended = if before {
            happens();
            watch_ends(&mut source, STUCK, || {})
        } else {
            watch_ends(&mut source, STUCK, happens)
        };
        assert!(ended, "{what} wakes the waker of the watch, or comes by what was named in it");
        take_note(&mut source);
        take_all(&mut source, brings, what);
        falls_quiet(&mut source);
    }
}

fn a_wake_outlives_a_recv<S: FrameSource, E>((mut source, _far): (S, E)) {
    source.waker().wake_by_ref();
    run_empty(&mut source);
    assert!(watch_ends(&mut source, STUCK, || {}), "a wake before the recv ends the watch after it");
}

/// An empty source lets whoever watches it sleep, after a few looks for no reason at most.
fn falls_quiet(source: &mut impl FrameSource) {
    let mut looks = 0;
    run_empty(source);
    while watch_ends(source, QUIET, || {}) {
        looks += 1;
        assert!(looks < MOST_LOOKS, "what it named comes for a reason, not {looks} times without");
        take_note(source);
        run_empty(source);
    }
}

/// What follows whatever ended a watch, before it is asked for frames.
fn take_note(source: &mut impl FrameSource) {
    let waited = source.wait(Some(Instant::now()));
    assert!(waited.is_ok(), "a wait takes note of it: {waited:?}");
}

/// Watches the source while something happens; whether that ends the watch in time.
fn watch_ends(source: &mut impl FrameSource, at_most: Duration, happens: impl FnOnce()) -> bool {
    let told = Arc::<Told>::default();
    let waker = Waker::from(Arc::clone(&told));
    let mut watch = Watch::new(&waker);
    assert_eq!(source.watch(&mut watch), Watched::Yes, "it can be watched");
    happens();
    let begin = Instant::now();
    while !has_come(&watch, &told) {
        if begin.elapsed() > at_most {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

/// Whether the waker that was handed to a source was woken.
#[derive(Default)]
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
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
