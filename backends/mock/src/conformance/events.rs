//! What makes a source ready, whatever frames come of it.

use super::Feeder;
use crate::traffic;

/// The far end of a source, where whatever makes it ready happens.
///
/// That of a source which is fed its frames is a [`Feeder`], and its one event is a frame. A source that makes its own frames
/// says here what has it make one.
pub trait Events: Sized + Send + 'static {
    /// Each is tried by itself, on a new source that has run empty.
    const EVENTS: &'static [Event<Self>];
}

/// Something that makes a source ready.
#[derive(Debug)]
pub struct Event<E> {
    /// What it is called where it does not.
    pub what: &'static str,
    /// Has it happen at the far end; a single frame comes of it.
    pub happens: fn(&mut E),
}

impl<F: Feeder> Events for F {
    const EVENTS: &'static [Event<Self>] =
        &[Event { what: "a frame", happens: |feeder| feeder.send(&traffic::frame(0, 60)) }];
}
