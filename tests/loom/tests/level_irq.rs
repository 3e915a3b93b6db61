//! A level-triggered line: raised while the guest acknowledges. The engine is the real one, the line is modelled.
//!
//! Known failure 22 (a level line pulsed as an edge: a storm, or a guest that hangs).

#![cfg(loom)]

use std::time::Instant;

use loom::thread;
use netrx::{Features, Progress};
use netrx_loom::{FLAGS, Few, Guest, LevelLine, check, engine, event_idx};

/// The device publishes, sets the status bit and raises; the guest reads the bit, acknowledges it, lets the line fall
/// and looks at the ring. However the two mix, no frame is left without an interrupt, no interrupt comes without a
/// cause, and at the end the pin says what the register says.
fn model(preemptions: usize, features: Features) {
    check(preemptions, move || {
        let mut guest = Guest::new(2, 64, features);
        let _ = (guest.post(), guest.post());
        let line = LevelLine::default();
        let Some(mut engine) = engine(&guest, line.clone()) else { return };
        let mut source = Few::new(2, guest.touched());
        let device = thread::spawn(move || {
            while !source.is_spent() {
                assert!(matches!(engine.poll(&mut source, Instant::now()), Ok(Progress::Idle)));
            }
        });
        guest.take_many(2, || line.sleep());
        assert!(device.join().is_ok());
        if line.settled() == Some(true) {
            line.sleep();
        }
        assert_eq!(line.settled(), Some(false), "acknowledged, the line is low");
    });
}

#[test]
fn by_flags() {
    model(4, FLAGS);
}

#[test]
fn by_event_idx() {
    model(4, event_idx());
}
