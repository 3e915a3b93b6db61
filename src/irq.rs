//! How a guest is interrupted.

use std::time::Duration;

use crate::sync::pause;

/// The interrupt line of one queue.
///
/// Setting a status bit, holding a level, making a vCPU exit: all that is the line's own business. The engine decides
/// when, the line decides how.
///
/// * **Ordering**: the used entries are visible to the guest before [`raise`](Self::raise) is called.
/// * **Threads**: called from the thread that drives the engine.
/// * **Blocking**: it may take a system call; it must not wait for the guest.
/// * **Errors**: an interrupt that could not be raised is still owed. After [`IrqError::Busy`] the engine's owner tries
///   again, and the engine itself for a tenth of a second when it ends; after [`IrqError::Failed`] the worker ends and reports
///   it.
pub trait IrqLine: Send {
    /// Interrupts the guest, or leaves an interrupt pending that it has not yet seen.
    ///
    /// # Errors
    /// When the guest will not see an interrupt because of this call.
    fn raise(&mut self) -> Result<(), IrqError>;
}

impl<I: IrqLine + ?Sized> IrqLine for Box<I> {
    fn raise(&mut self) -> Result<(), IrqError> {
        (**self).raise()
    }
}

/// A level-triggered line, which the guest sees high for as long as it is.
///
/// Where the interrupt controller can be told to raise a line but not to lower it, one that is lowered may fall only at the
/// guest's end of interrupt. Until then the guest still sees it high, and may be interrupted once for nothing, as it can be on
/// real hardware. A line that is set high again before that is high after it, too.
///
/// Whoever keeps the status register behind it decides when it is high; the line does what it is told.
///
/// * **Ordering**: of concurrent calls either may be the last; the device looks afterwards, and sets the line once more if it
///   has to.
/// * **Threads**: called at the same time from whichever thread raises (the worker's, one that serves the transmit queue, the
///   VMM's) or acknowledges (a vCPU's).
/// * **Blocking**: it may take a system call; it must not wait for the guest nor call the device.
/// * **Errors**: a line that was busy is tried again, by who was told so as for [`IrqLine::raise`], or for a tenth of a second
///   where nobody is told; only a broken line is busy for longer, or refuses to be lowered.
pub trait LevelLine: Send + Sync + 'static {
    /// Sets the line's level.
    ///
    /// # Errors
    /// When the line may be as it was before.
    fn set(&self, high: bool) -> Result<(), IrqError>;
}

/// Why an interrupt was not raised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IrqError {
    /// Not now; the same call may succeed later.
    #[error("the interrupt line is busy")]
    Busy,
    /// The line is broken.
    #[error("the interrupt line failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How often a busy line is tried by somebody who will not come again: for a tenth of a second in all.
const TRIES: u32 = if cfg!(loom) { 3 } else { 1000 };
/// How long a busy line is left alone before the next try.
pub(crate) const PAUSE: Duration = Duration::from_micros(100);

/// Makes a call of a line that nobody would make again if it found the line busy.
pub(crate) fn insist(mut call: impl FnMut() -> Result<(), IrqError>) -> Result<(), IrqError> {
    for _ in 1..TRIES {
        match call() {
            Err(IrqError::Busy) => pause(PAUSE),
            done => return done,
        }
    }
    call()
}
