//! How a guest is interrupted.

/// The interrupt line of one queue.
///
/// Setting a status bit, holding a level, making a vCPU exit: all that is the line's own business. The engine decides
/// when, the line decides how.
///
/// * **Ordering**: the used entries are visible to the guest before [`raise`](Self::raise) is called.
/// * **Threads**: called from the thread that drives the engine.
/// * **Blocking**: it may take a system call; it must not wait for the guest.
/// * **Errors**: an interrupt that could not be raised is still owed. After [`IrqError::Busy`] the engine's owner tries
///   again; after [`IrqError::Failed`] the worker ends and reports it.
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
