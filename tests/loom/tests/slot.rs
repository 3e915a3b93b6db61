//! Races for the slot: who starts the worker, and with which parts.
//!
//! Known failure 7 is a neighbour: what comes before the worker runs (a part, a kick) is neither lost nor half taken.

#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use netrx::worker::{Part, SlotError};
use netrx::{RxConfig, RxWorkerSlot};
use netrx_loom::{FLAGS, Few, Guest, Line, Ram, check};

type Slot = RxWorkerSlot<Arc<Ram>, Line>;

fn config(guest: &Guest) -> RxConfig {
    RxConfig {
        ring: guest.ring_config(),
        features: guest.features(),
        engine: Default::default(),
        restored: false,
    }
}

fn full(guest: &Guest) -> Arc<Slot> {
    let slot = Slot::default();
    slot.deposit_memory(guest.memory());
    slot.deposit_irq(Line::default());
    slot.offer_source(0, Few::new(0, guest.touched()));
    Arc::new(slot)
}

/// Two vCPUs set `DRIVER_OK` at once: exactly one worker starts, and the other call says that it runs.
#[test]
fn driver_ok_meets_driver_ok() {
    check(4, || {
        let guest = Guest::new(1, 64, FLAGS);
        let slot = full(&guest);
        let (other, config) = (Arc::clone(&slot), config(&guest));
        let other = thread::spawn(move || other.driver_ok(config));
        let mine = slot.driver_ok(config);
        let theirs = other.join();
        let lost = match (&mine, &theirs) {
            (Ok(()), Ok(Err(lost))) | (Err(lost), Ok(Ok(()))) => Some(lost),
            _ => None,
        };
        assert!(matches!(lost, Some(SlotError::Running)), "{mine:?} and {theirs:?}");
        let stopped = slot.stop();
        assert!(matches!(stopped, Ok(Some(_))), "{stopped:?}");
        assert!(matches!(slot.stop(), Ok(None)), "there was one worker");
    });
}

/// The last part is deposited while the driver gets ready: either the worker starts, or the call names that part, leaves
/// the others, and the next call starts it.
#[test]
fn deposit_meets_driver_ok() {
    check(5, || {
        let guest = Guest::new(1, 64, FLAGS);
        let slot = Arc::new(Slot::default());
        slot.deposit_memory(guest.memory());
        slot.offer_source(0, Few::new(0, guest.touched()));
        let other = Arc::clone(&slot);
        let depositor = thread::spawn(move || other.deposit_irq(Line::default()));
        let first = slot.driver_ok(config(&guest));
        assert!(depositor.join().is_ok());
        if let Err(error) = first {
            assert!(matches!(&error, SlotError::Missing(parts) if *parts == [Part::Irq]), "{error}");
            assert!(slot.driver_ok(config(&guest)).is_ok(), "all parts are there now");
        }
        assert!(matches!(slot.stop(), Ok(Some(_))));
    });
}

/// The device is reset while the driver gets ready: the start finds a worker that still runs, or every part back in
/// its place; never a slot with half of them.
#[test]
fn driver_ok_meets_reset() {
    check(4, || {
        let guest = Guest::new(1, 64, FLAGS);
        let slot = full(&guest);
        assert!(slot.driver_ok(config(&guest)).is_ok());
        let other = Arc::clone(&slot);
        let resetter = thread::spawn(move || matches!(other.reset(), Ok(Some(_))));
        let started = slot.driver_ok(config(&guest));
        assert!(matches!(started, Ok(()) | Err(SlotError::Running)), "{started:?}");
        assert!(resetter.join().is_ok_and(|reset| reset), "the first worker was reset");
        let running = matches!(slot.stop(), Ok(Some(_)));
        assert_eq!(running, started.is_ok(), "what was started runs");
    });
}
