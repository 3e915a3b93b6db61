//! What is asked of the system, by epoll or by kqueue: the only files of this crate with `unsafe` code.
//!
//! Both have a `Queue`: it is made, changed, and collected from.

#[cfg(epoll)]
mod epoll;
#[cfg(kqueue)]
pub(crate) mod kqueue;
#[cfg(libkqueue)]
mod libkqueue;

#[cfg(epoll)]
pub(crate) use epoll::Queue;
#[cfg(kqueue)]
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

#[cfg(test)]
mod tests;
