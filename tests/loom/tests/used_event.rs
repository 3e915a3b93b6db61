//! The used index against the driver's wish for interrupts: never are both sides asleep.
//!
//! Known failures 4 (no full barrier between the store of the used index and the load of `used_event`), 8 (used
//! entries withheld) and 40 (the index is stored in halves). On the way: the used entry, its length and the frame's bytes
//! are visible once the index is.

#![cfg(loom)]

use std::time::Instant;

use loom::thread;
use netrx::{Features, Progress};
use netrx_loom::{Few, Guest, Line, check, engine, event_idx};

/// The device publishes, then looks whether the driver wants an interrupt; the driver says that it does, then looks
/// whether there is something. One of the two must see the other.
fn model(features: Features, start: u16) {
    check(4, move || {
        let mut guest = Guest::new(2, 64, features).starting_at(start);
        let _ = (guest.post(), guest.post());
        let line = Line::default();
        let Some(mut engine) = engine(&guest, line.clone()) else { unreachable!("the ring makes sense") };
        let mut source = Few::new(2, guest.touched());
        let device = thread::spawn(move || {
            while !source.is_spent() {
                assert!(matches!(engine.poll(&mut source, Instant::now()), Ok(Progress::Idle)));
            }
        });
        guest.take_many(2, || line.sleep());
        assert!(device.join().is_ok());
    });
}

#[test]
fn by_flags() {
    model(netrx_loom::FLAGS, 0);
}

#[test]
fn by_event_idx() {
    model(event_idx(), 0);
}

/// The second frame carries into the index's upper byte: the driver never sees one byte without the other.
#[test]
fn an_index_that_carries_by_flags() {
    model(netrx_loom::FLAGS, 254);
}

#[test]
fn an_index_that_carries_by_event_idx() {
    model(event_idx(), 254);
}
