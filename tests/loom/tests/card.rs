//! A virtio-mmio card that is reset while its worker interrupts, or ends.

#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use netrx::spec::mmio::Register;
use netrx_loom::{Card, FLAGS, Few, Guest, Touched, check};

/// A live card.
fn card(guest: &Guest, frames: u8) -> Card {
    let Some(card) = Card::new(guest) else { unreachable!("its configuration makes sense") };
    card.offer(Few::new(frames, guest.touched()));
    card.start(guest);
    assert!(card.device().slot().stats().is_some(), "its worker runs");
    card
}

/// What must hold once the write of 0 has returned: no status, no reason, no level, and buffers that nobody writes.
fn is_off(card: &Card, touched: &Arc<[Touched]>) {
    assert_eq!(card.read(Register::Status), 0);
    assert_eq!((card.read(Register::InterruptStatus), card.settled()), (0, Some(false)));
    touched.iter().for_each(Touched::write);
}

/// The worker delivers a frame and raises the line while the guest resets the card, which waits for it: the line is low
/// afterwards, and stays so.
#[test]
fn a_reset_meets_an_interrupt() {
    check(4, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let _ = guest.post();
        let card = card(&guest, 1);
        card.write(Register::Status, 0);
        is_off(&card, &guest.touched());
    });
}

/// The worker ends over a broken ring, sets the bit that asks for a reset and raises the line, all while the guest resets
/// the card: neither waits for the other for ever, and nothing of it is left.
#[test]
fn a_reset_meets_a_broken_ring() {
    check(4, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let _ = (guest.post(), guest.post(), guest.post());
        let card = card(&guest, 1);
        card.write(Register::Status, 0);
        is_off(&card, &guest.touched());
    });
}

/// Two vCPUs write 0 at once: both writes return, each with the worker stopped.
#[test]
fn a_reset_meets_a_reset() {
    check(4, || {
        let guest = Guest::new(1, 64, FLAGS);
        let card = card(&guest, 0);
        let other = card.clone();
        let other = thread::spawn(move || {
            other.write(Register::Status, 0);
            assert!(other.device().slot().stats().is_none(), "no worker is left");
        });
        card.write(Register::Status, 0);
        assert!(card.device().slot().stats().is_none(), "no worker is left");
        assert!(other.join().is_ok());
        is_off(&card, &guest.touched());
    });
}
