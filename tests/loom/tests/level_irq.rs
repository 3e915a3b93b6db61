//! The level line of a virtio-mmio card: raised while the guest acknowledges. Engine, registers and line are the real ones;
//! only the pin is a model.
//!
//! Known failure 22 (a level line pulsed as an edge: a storm, or a guest that hangs).

#![cfg(loom)]

use std::time::Instant;

use loom::thread;
use netrx::spec::mmio::interrupt::{CONFIG, USED};
use netrx::{Features, IrqLine, Progress};
use netrx_loom::{Card, FLAGS, Few, Guest, check, engine, event_idx};

/// A card that is not live: its line alone.
fn card(guest: &Guest) -> Card {
    let Some(card) = Card::new(guest) else { unreachable!("its configuration makes sense") };
    card
}

/// The device publishes, sets the status bit and raises; the guest reads the bit, acknowledges it, lets the line fall
/// and looks at the ring. However the two mix, no frame is left without an interrupt, an interrupt without a cause comes
/// only while the pin is on its way down, and at the end the pin says what the register says.
fn model(preemptions: usize, features: Features) {
    check(preemptions, move || {
        let mut guest = Guest::new(2, 64, features);
        let _ = (guest.post(), guest.post());
        let card = card(&guest);
        let Some(mut engine) = engine(&guest, card.device().irq()) else {
            unreachable!("the ring makes sense")
        };
        let mut source = Few::new(2, guest.touched());
        let device = thread::spawn(move || {
            while !source.is_spent() {
                assert!(matches!(engine.poll(&mut source, Instant::now()), Ok(Progress::Idle)));
            }
        });
        guest.take_many(2, || assert_eq!(card.sleep(), USED));
        assert!(device.join().is_ok());
        if card.settled() == Some(true) {
            assert_eq!(card.sleep(), USED);
        }
        assert_eq!(card.settled(), Some(false), "acknowledged, the line is low");
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

/// Two threads raise, each for a reason of its own, while the guest acknowledges what it finds: it hears of both, and the
/// line ends low.
#[test]
fn two_reasons_and_an_acknowledgement() {
    check(4, || {
        let card = card(&Guest::new(1, 64, FLAGS));
        let (mut worker, vmm) = (card.device().irq(), card.device().irq());
        let worker = thread::spawn(move || worker.raise().is_ok());
        let vmm = thread::spawn(move || vmm.needs_reset().is_ok());
        let mut heard = 0;
        while heard != USED | CONFIG {
            heard |= card.sleep();
        }
        assert!(worker.join().is_ok_and(|raised| raised) && vmm.join().is_ok_and(|raised| raised));
        assert_eq!(card.settled(), Some(false), "all is acknowledged, and the line is low");
    });
}

/// One thread raises twice while the guest acknowledges: the second raise is never swallowed.
#[test]
fn raised_again_while_acknowledged() {
    check(6, || {
        let card = card(&Guest::new(1, 64, FLAGS));
        let mut worker = card.device().irq();
        let worker = thread::spawn(move || worker.raise().is_ok() && worker.raise().is_ok());
        card.sleep();
        assert!(worker.join().is_ok_and(|raised| raised));
        match card.settled() {
            Some(true) => assert_eq!(card.sleep(), USED),
            settled => assert_eq!(settled, Some(false), "both raises came before the acknowledgement"),
        }
        assert_eq!(card.settled(), Some(false));
    });
}
