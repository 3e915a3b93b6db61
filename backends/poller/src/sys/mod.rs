//! What is asked of the system: the only files of this crate with `unsafe` code.

#[cfg(libkqueue)]
mod libkqueue;

pub(crate) mod kqueue;

pub(crate) use kqueue::Queue;

/// Events collected by one call, at most.
pub(crate) const EVENTS: usize = 64;

/// What becomes of a descriptor in a queue.
pub(crate) enum Change {
    /// It is told of from now on.
    Watch,
    /// It is left alone, but stays.
    Hush,
    /// It is told of again.
    Listen,
    /// It is taken out.
    Forget,
}
