//! Sources of a few numbered frames.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use netrx::source::WakeFlag;
use netrx::{FrameMeta, FrameSource, Placed, Received, RxSpace, SourceError};

use crate::Touched;

/// Bytes of a frame: the shortest there is.
const FRAME: usize = 14;

/// A source that has frames 1 to `last`, and gives one in each `recv`.
pub struct Few {
    next: u8,
    last: u8,
    touched: Arc<[Touched]>,
    /// Buffers that a frame needs.
    span: usize,
    woken: WakeFlag,
}

impl Few {
    /// Frames for buffers that are posted in turn, one for each frame.
    #[must_use]
    pub fn new(last: u8, touched: Arc<[Touched]>) -> Self {
        Self::spanning(1, last, touched)
    }

    /// The same where each frame needs `span` buffers.
    #[must_use]
    pub fn spanning(span: usize, last: u8, touched: Arc<[Touched]>) -> Self {
        Self { next: 1, last, touched, span, woken: WakeFlag::default() }
    }

    /// The device writes the buffers of the next frame.
    fn touch(&self) {
        let first = usize::from(self.next - 1) * self.span;
        for buffer in first..first + self.span {
            self.touched[buffer % self.touched.len()].write();
        }
    }

    /// Whether every frame was taken.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.next > self.last
    }
}

impl FrameSource for Few {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        if self.is_spent() {
            return Ok(Received::Empty);
        }
        match space.put(&[self.next; FRAME], FrameMeta::PLAIN) {
            Placed::NoRoom => return Ok(Received::More),
            Placed::Delivered => self.touch(),
            Placed::Dropped(_) => {}
        }
        self.next += 1;
        Ok(Received::Empty)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        if self.is_spent() {
            self.woken.wait(until);
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.woken.waker()
    }
}
