//! Trouble by seed, around any source.

use std::task::Waker;
use std::time::Instant;

use netrx::source::{Watch, Watched};
use netrx::{FrameSource, Received, RxSpace, SourceError};

/// A source with trouble: it lies about being empty, yields too early and wakes for nothing, as its seed has it.
///
/// What it never does is lose a frame, so whatever passes without faults must pass with them.
#[derive(Debug)]
pub struct Faults<S> {
    inner: S,
    random: fastrand::Rng,
    chance: f64,
    lied: bool,
}

impl<S> Faults<S> {
    /// Trouble around `inner`; `chance` of 0 to 1 at each call.
    #[must_use]
    pub fn new(inner: S, seed: u64, chance: f64) -> Self {
        Self { inner, random: fastrand::Rng::with_seed(seed), chance, lied: false }
    }

    /// The source within.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn strikes(&mut self) -> bool {
        self.random.f64() < self.chance
    }
}

impl<S: FrameSource> FrameSource for Faults<S> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        if self.strikes() {
            self.lied = true;
            return Ok(Received::Empty);
        }
        if self.strikes() {
            return Ok(Received::More);
        }
        self.inner.recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        if std::mem::take(&mut self.lied) || self.strikes() {
            return Ok(());
        }
        self.inner.wait(until)
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        if self.lied || self.strikes() {
            watch.ready();
        }
        self.inner.watch(watch)
    }

    fn starved(&mut self, waker: &Waker) {
        self.inner.starved(waker);
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}
