//! What the crate tells by `tracing`.

use std::fmt::Debug;
use std::sync::mpsc::{Receiver, Sender, channel};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Metadata, Subscriber};

/// An event: its level, and all its fields as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// What is told on this thread in the meantime.
pub(crate) fn told_by<R>(act: impl FnOnce() -> R) -> (R, Vec<Told>) {
    let (record, events) = channel();
    let result = tracing::subscriber::with_default(Recorder(record), act);
    (result, events.try_iter().collect())
}

/// What is told from here on, by any thread of the process.
pub(crate) fn told_anywhere() -> Result<Receiver<Told>, SetGlobalDefaultError> {
    let (record, events) = channel();
    tracing::subscriber::set_global_default(Recorder(record))?;
    Ok(events)
}

/// Sends each event.
struct Recorder(Sender<Told>);

impl Subscriber for Recorder {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut told = Told { level: *event.metadata().level(), text: String::new() };
        event.record(&mut told);
        self.0.send(told).unwrap_or_default();
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text.push_str(&format!("{}: {value:?}; ", field.name()));
    }
}
