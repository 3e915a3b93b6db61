//! A source that is a closure.

use std::task::Waker;
use std::time::Instant;

use netrx::{FrameSource, Received, RxSpace, SourceError};

/// A source that is a closure: see [`from_fn`].
#[derive(Debug)]
pub struct FromFn<F>(F);

/// Makes a source of what is to be done at each `recv`, for a test that takes the turns itself. It never sleeps: a wait is over
/// at once.
///
/// ```
/// use netrx::{Features, FrameMeta, Placed, Received};
/// use netrx_mock::{DriverConfig, Rig, Shape, from_fn};
///
/// let mut rig = Rig::new(DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))?;
/// let mut source = from_fn(|space| {
///     assert_eq!(space.put(&[7; 60], FrameMeta::PLAIN), Placed::Delivered);
///     Received::Empty
/// });
/// assert_eq!(rig.turn(&mut source)?.1, [[7; 60]]);
/// # Ok::<(), netrx_mock::RigError>(())
/// ```
pub fn from_fn<F: FnMut(&mut RxSpace<'_>) -> Received + Send>(recv: F) -> FromFn<F> {
    FromFn(recv)
}

impl<F: FnMut(&mut RxSpace<'_>) -> Received + Send> FrameSource for FromFn<F> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        Ok((self.0)(space))
    }

    fn wait(&mut self, _until: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}
