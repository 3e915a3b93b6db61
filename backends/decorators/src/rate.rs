//! A limit to how much passes in a time.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use netrx::source::{WakeFlag, Watch, Watched};
use netrx::space::{Limit, Taken};
use netrx::{FrameSource, Received, RxSpace, SourceError};

use crate::bucket::{Bucket, Rate};

/// What a [`RateLimit`] lets pass; both limits hold where both are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Frames.
    pub frames: Option<Rate>,
    /// Bytes of frames, headers of virtio not counted.
    pub bytes: Option<Rate>,
}

/// A [`FrameSource`] that lets frames of another one pass no faster than it is told to.
///
/// A frame is charged when it is in guest memory, once. One that is turned away for want of room costs nothing, however
/// often it is offered again, nor does one that is dropped. Frames leave the source within only when they may pass, so
/// what is held back is held back there.
///
/// A frame may pass while a token of each kind is left, whatever its length; what it takes beyond that is owed. In any
/// span of time no more bytes pass than the burst, the rate times the span, and one frame.
///
/// While nothing may pass, the source within is not asked for frames, but hears that it is
/// [left alone](FrameSource::starved): connections end when they do, not when the next token is due.
///
/// * **Order**: the inner source's.
/// * **Blocking**: only [`wait`](FrameSource::wait) blocks: until the next token is due while frames are held back, in
///   the source within otherwise.
/// * **Errors**: the inner source's.
/// * **Time**: that of `clock`, which only ever goes forward.
#[derive(Debug)]
pub struct RateLimit<S, C = fn() -> Instant> {
    inner: S,
    clock: C,
    frames: Option<Bucket>,
    bytes: Option<Bucket>,
    passed: Taken,
    /// The source within has frames, or may have, that have to wait.
    throttled: bool,
    /// What it sleeps on while it does not sleep in the source within.
    woken: WakeFlag,
    waker: Waker,
}

impl<S: FrameSource> RateLimit<S> {
    /// Limits `inner` by the system's clock.
    #[must_use]
    pub fn new(inner: S, limits: Limits) -> Self {
        Self::with_clock(inner, limits, Instant::now)
    }
}

impl<S: FrameSource, C: Fn() -> Instant> RateLimit<S, C> {
    /// Limits `inner` by another clock.
    #[must_use]
    pub fn with_clock(inner: S, limits: Limits, clock: C) -> Self {
        let woken = WakeFlag::default();
        let waker = Waker::from(Arc::new(Both([woken.waker(), inner.waker()])));
        Self {
            inner,
            clock,
            frames: limits.frames.map(Bucket::new),
            bytes: limits.bytes.map(Bucket::new),
            passed: Taken::default(),
            throttled: false,
            woken,
            waker,
        }
    }

    /// The source within, with all the frames that did not pass.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Frames and bytes that passed and were charged.
    #[must_use]
    pub fn charged(&self) -> (u64, u64) {
        (self.passed.delivered, self.passed.bytes)
    }

    /// When the next frame may pass, while any are held back.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let dues = self.buckets().filter_map(Bucket::due);
        dues.max().filter(|_| self.throttled)
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.frames.iter().chain(&self.bytes)
    }

    /// Lets the source within do what else there is to do while none of its frames may pass.
    fn leave_alone(&mut self) {
        self.inner.starved(&self.woken.waker());
    }

    /// How much may pass now; `None` if nothing.
    fn limit(&mut self) -> Option<Limit> {
        let now = (self.clock)();
        self.frames.iter_mut().chain(&mut self.bytes).for_each(|bucket| bucket.refill(now));
        let tokens = |bucket: &Option<Bucket>| bucket.as_ref().map_or(u64::MAX, Bucket::tokens);
        let limit = Limit { frames: tokens(&self.frames), bytes: tokens(&self.bytes) };
        (limit.frames > 0 && limit.bytes > 0).then_some(limit)
    }

    fn charge(&mut self, taken: Taken) {
        self.passed.delivered += taken.delivered;
        self.passed.bytes += taken.bytes;
        for (bucket, tokens) in [(&mut self.frames, taken.delivered), (&mut self.bytes, taken.bytes)] {
            if let Some(bucket) = bucket {
                bucket.charge(tokens);
            }
        }
    }
}

impl<S: FrameSource, C: Fn() -> Instant + Send> FrameSource for RateLimit<S, C> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let Some(limit) = self.limit() else {
            self.throttled = true;
            return Ok(Received::Empty);
        };
        let inner = &mut self.inner;
        let (received, taken) = space.within(limit, |space| inner.recv(space));
        self.charge(taken);
        let received = received?;
        // A guest without room has to be asked for a kick first, whatever else there is to wait for.
        self.throttled =
            received == Received::More && taken.room && self.buckets().any(|bucket| bucket.tokens() == 0);
        Ok(if self.throttled { Received::Empty } else { received })
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        let Some(due) = self.due() else { return self.inner.wait(until) };
        let end = until.map_or(due, |until| until.min(due));
        let left = end.saturating_duration_since((self.clock)());
        self.leave_alone();
        self.woken.wait(Instant::now().checked_add(left));
        Ok(())
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        let Some(due) = self.due() else { return self.inner.watch(watch) };
        watch.until(due);
        self.leave_alone();
        self.woken.watch(watch)
    }

    fn starved(&mut self, waker: &Waker) {
        self.inner.starved(waker);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// Wakes a rate limit wherever it sleeps: on its own flag or in the source within.
struct Both([Waker; 2]);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.iter().for_each(Waker::wake_by_ref);
    }
}
