//! The source itself.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use netrx::source::WakeFlag;
use netrx::{FrameSource, Received, RxSpace, SourceError};

use crate::Capture;

/// A [`FrameSource`] that replays a capture, as fast as the guest takes it.
///
/// * **Order**: the capture's.
/// * **Blocking**: while it has frames it never sleeps.
/// * **Errors**: it has none.
#[derive(Debug)]
pub struct CaptureSource {
    capture: Arc<Capture>,
    /// The index of the frame that goes next.
    next: usize,
    taken: u64,
    limit: u64,
    woken: WakeFlag,
}

impl CaptureSource {
    /// Replays the capture once, then closes.
    #[must_use]
    pub fn new(capture: impl Into<Arc<Capture>>) -> Self {
        let capture = capture.into();
        let limit = capture.len() as u64;
        Self { capture, next: 0, taken: 0, limit, woken: WakeFlag::default() }
    }

    /// Begins again after the last frame, and never closes; unless there is no frame at all.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.limit = if self.capture.is_empty() { 0 } else { u64::MAX };
        self
    }

    /// Closes after `frames` frames, if not before; at once if so many have left it.
    #[must_use]
    pub fn limited_to(mut self, frames: u64) -> Self {
        self.limit = self.limit.min(frames);
        self
    }

    /// How many frames have left it, for the guest or for a drop counter.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many frames are left, up to the capture's last.
    fn ahead(&self) -> usize {
        let left = usize::try_from(self.limit.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        left.min(self.capture.len() - self.next)
    }

    fn advance(&mut self, frames: usize) {
        self.taken += frames as u64;
        self.next += frames;
        if self.next == self.capture.len() {
            self.next = 0;
        }
    }
}

impl FrameSource for CaptureSource {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        loop {
            let ahead = self.ahead();
            if ahead == 0 {
                return Ok(Received::Closed);
            }
            let taken = space.put_burst(self.capture.bytes_from(self.next).take(ahead));
            self.advance(taken);
            if taken < ahead {
                return Ok(Received::More);
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        if self.ahead() == 0 {
            self.woken.wait(until);
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.woken.waker()
    }
}
