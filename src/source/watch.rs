//! What a source is waited for by, when it is waited for together with others.

#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::Instant;

/// Collects what one source is to be waited for by: any of it ends the wait.
///
/// Whoever waits makes a new one for each source and each wait, and hands it to [`FrameSource::watch`].
///
/// [`FrameSource::watch`]: super::FrameSource::watch
#[derive(Debug)]
pub struct Watch<'w> {
    waker: &'w Waker,
    is_ready: bool,
    until: Option<Instant>,
    #[cfg(unix)]
    descriptors: Vec<BorrowedFd<'w>>,
}

impl<'w> Watch<'w> {
    /// Nothing yet; `waker` is for sources that can wake one.
    #[must_use]
    pub fn new(waker: &'w Waker) -> Self {
        Self {
            waker,
            is_ready: false,
            until: None,
            #[cfg(unix)]
            descriptors: Vec::new(),
        }
    }

    /// To be woken when there may be frames; a source that does so needs nothing else.
    #[must_use]
    pub fn waker(&self) -> &Waker {
        self.waker
    }

    /// There may be frames already: nobody is to sleep.
    pub fn ready(&mut self) {
        self.is_ready = true;
    }

    /// There may be frames at that time, without any further sign.
    pub fn until(&mut self, time: Instant) {
        self.until = Some(self.until.map_or(time, |until| until.min(time)));
    }

    /// There may be frames when the descriptor is ready for reading, and for as long as it is.
    #[cfg(unix)]
    pub fn readable(&mut self, descriptor: BorrowedFd<'w>) {
        self.descriptors.push(descriptor);
    }

    /// All that was named to another one, for a source that is made of several. Its waker is its own affair.
    pub fn include(&mut self, other: &Watch<'w>) {
        self.is_ready |= other.is_ready;
        other.until.into_iter().for_each(|time| self.until(time));
        #[cfg(unix)]
        self.descriptors.extend_from_slice(&other.descriptors);
    }

    /// Whether nobody is to sleep.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// The earliest time at which there may be frames, if one was named.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// The descriptors, in the order in which they were named.
    #[cfg(unix)]
    #[must_use]
    pub fn descriptors(&self) -> &[BorrowedFd<'w>] {
        &self.descriptors
    }
}

/// Whether a source can be waited for together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Watched {
    /// By what it named.
    Yes,
    /// Only by its own [`wait`](super::FrameSource::wait).
    No,
}
