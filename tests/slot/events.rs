//! What a worker tells by `tracing`.

use std::fmt::{Debug, Write};
use std::sync::mpsc::{Sender, channel};

use netrx::Features;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{Rig, STUCK, Tested};

/// Sends each event as one line.
struct Recorder(Sender<String>);

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
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.send(line.0).unwrap_or_default();
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap_or_default();
    }
}

/// The counters of a run, once, at its end. Other tests of this process may have theirs.
#[test]
fn the_counters_are_an_event_at_the_end() -> Tested {
    let (record, events) = channel();
    tracing::subscriber::set_global_default(Recorder(record))?;
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.slot.driver_ok(rig.config())?;
    rig.pass(&[7; 321])?;
    rig.stop()?;
    loop {
        let event = events.recv_timeout(STUCK)?;
        if event.contains("message=receive counters") && event.contains("bytes_delivered=321 ") {
            assert!(
                event.contains("frames_delivered=1 ") && event.contains("dropped_ring_full=0 "),
                "{event}"
            );
            return Ok(());
        }
    }
}
