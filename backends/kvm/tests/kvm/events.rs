//! What the backend tells by `tracing`.

use std::fmt::Debug;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Result;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event without its other fields.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) level: Level,
    pub(crate) message: String,
}

/// Sends each event.
pub(crate) struct Recorder(pub(crate) Sender<Told>);

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
        let mut told = Told { level: *event.metadata().level(), message: String::new() };
        event.record(&mut told);
        self.0.send(told).unwrap_or_default();
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

/// What is told on threads of the backend's own, among all else in this process; only one test can have it.
pub(crate) fn everywhere() -> Result<Receiver<Told>> {
    let (record, events) = channel();
    tracing::subscriber::set_global_default(Recorder(record))?;
    Ok(events)
}
