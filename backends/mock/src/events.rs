//! What is told by `tracing`, for a test to look at.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::mpsc::{Receiver, Sender, channel};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Metadata, Subscriber};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How much it matters.
    pub level: Level,
    /// Its fields by name, as text; what it says is `message`.
    pub fields: BTreeMap<&'static str, String>,
}

impl Told {
    /// What it says.
    #[must_use]
    pub fn message(&self) -> &str {
        self.fields.get("message").map_or("", String::as_str)
    }
}

/// Does it, and has all that is told by this thread meanwhile.
pub fn told_by<R>(act: impl FnOnce() -> R) -> (R, Vec<Told>) {
    let (record, events) = channel();
    let result = tracing::subscriber::with_default(Recorder(record), act);
    (result, events.try_iter().collect())
}

/// All that is told from here on, by any thread of the process.
///
/// # Errors
/// When somebody else hears it: there is one a process.
pub fn told_anywhere() -> Result<Receiver<Told>, SetGlobalDefaultError> {
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
        let mut told = Told { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut told);
        // Nobody needs to listen.
        self.0.send(told).unwrap_or_default();
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}
