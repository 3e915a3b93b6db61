//! The available index against the device's wish for kicks: never are both sides asleep.
//!
//! Known failures 1 (source and ring both full, and nobody wakes), 3 (a partial refill under `MRG_RXBUF` must arm
//! anew) and 4 (no full barrier between the store of `avail_event` and the load of the available index).

#![cfg(loom)]

use std::time::Instant;

use loom::thread;
use netrx::{Features, Progress};
use netrx_loom::{Bell, FLAGS, Few, Guest, Line, check, engine, event_idx};

/// Runs the engine until the source is spent, and sleeps on `kicked` whenever the guest has no room.
fn device(guest: &Guest, line: Line, kicked: Bell, mut source: Few) -> Option<thread::JoinHandle<()>> {
    let mut engine = engine(guest, line)?;
    Some(thread::spawn(move || {
        while !source.is_spent() {
            match engine.poll(&mut source, Instant::now()) {
                Ok(Progress::Starved) => kicked.sleep(),
                polled => assert!(matches!(polled, Ok(Progress::Idle)), "{polled:?}"),
            }
        }
    }))
}

fn post(guest: &mut Guest, kick: &Bell) {
    if guest.post() {
        kick.ring();
    }
}

/// The same buffer twice. The device finds none, asks for a kick and looks again; the driver posts one and looks whether
/// a kick is asked for: one of the two must see the other, though the wish was taken back in between.
///
/// The device must be done with the buffer before the driver looks into it, and the driver with looking before the
/// device writes it again.
fn refill(features: Features) {
    check(3, move || {
        let mut guest = Guest::new(1, 64, features);
        let (line, kick) = (Line::default(), Bell::default());
        let device = device(&guest, line.clone(), kick.clone(), Few::new(2, guest.touched()));
        post(&mut guest, &kick);
        guest.take_many(1, || line.sleep());
        post(&mut guest, &kick);
        guest.take_many(1, || line.sleep());
        assert!(device.is_some_and(|device| device.join().is_ok()));
    });
}

/// A frame that needs both buffers, posted one by one: the device asks for a kick anew after the first.
fn partial_refill(features: Features) {
    check(3, move || {
        let mut guest = Guest::new(2, 16, features | Features::MRG_RXBUF);
        let (line, kick) = (Line::default(), Bell::default());
        let device = device(&guest, line.clone(), kick.clone(), Few::spanning(2, 1, guest.touched()));
        post(&mut guest, &kick);
        post(&mut guest, &kick);
        guest.take_many(1, || line.sleep());
        assert!(device.is_some_and(|device| device.join().is_ok()));
    });
}

#[test]
fn refill_by_flags() {
    refill(FLAGS);
}

#[test]
fn refill_by_event_idx() {
    refill(event_idx());
}

#[test]
fn partial_refill_by_flags() {
    partial_refill(FLAGS);
}

#[test]
fn partial_refill_by_event_idx() {
    partial_refill(event_idx());
}
