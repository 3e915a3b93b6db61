//! The level line of a virtio-mmio card: raised while the guest acknowledges. Engine, registers and line are the real ones;
//! only the pin is a model.
//!
//! Known failure 22 (a level line pulsed as an edge: a storm, or a guest that hangs).

#![cfg(loom)]

use std::sync::Arc;
use std::time::Instant;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use netrx::mmio::Discard;
use netrx::spec::mmio::Register;
use netrx::spec::mmio::interrupt::{CONFIG, USED};
use netrx::{Features, IrqError, IrqLine, LevelLine, MmioDevice, NetConfig, Progress};
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

/// The line is busy at first. The worker raises until it is told that the line is set, while the guest acknowledges for no
/// reason, which sets the line as well: whoever of the two finds it busy, the guest is interrupted.
#[test]
fn busy_while_acknowledged() {
    for times in 1..=2 {
        check(3, move || {
            let card = card(&Guest::new(1, 64, FLAGS));
            card.refuse(times);
            let mut worker = card.device().irq();
            let worker = thread::spawn(move || {
                while let Err(error) = worker.raise() {
                    assert!(matches!(error, IrqError::Busy));
                    thread::yield_now();
                }
            });
            // It may be told that the line is busy.
            let _ = card.device().write(Register::InterruptAck as u64, &0_u32.to_le_bytes());
            assert_eq!(card.sleep(), USED);
            assert!(worker.join().is_ok());
            // Its second try may come after that, for nothing.
            assert!(card.settled().is_some_and(|high| !high || card.sleep() == USED));
            assert_eq!(card.settled(), Some(false));
        });
    }
}

/// The line is busy once, and two threads raise, once each and for reasons of their own. One of them may be told that it was
/// busy; then the guest is interrupted by the other's call, which cannot count on that one.
#[test]
fn nobody_counts_on_a_call_that_fails() {
    check(4, || {
        let card = card(&Guest::new(1, 64, FLAGS));
        let (mut worker, vmm) = (card.device().irq(), card.device().irq());
        assert!(worker.raise().is_ok(), "the line is as it should be");
        assert_eq!(card.sleep(), USED);
        card.refuse(1);
        let worker = thread::spawn(move || worker.raise().is_ok());
        let told = vmm.needs_reset().is_ok();
        assert!(worker.join().is_ok_and(|raised| raised) || told, "it was busy once");
        assert_ne!(card.sleep(), 0);
    });
}

/// A line whose setting orders nothing for those who set it: a hypervisor does not promise that.
#[derive(Clone, Default)]
struct Wire(Arc<AtomicBool>);

impl LevelLine for Wire {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        self.0.swap(high, Ordering::Relaxed);
        // Time passes before it returns: others have their turn at an atomic access, and not at a fence.
        self.0.load(Ordering::Relaxed);
        Ok(())
    }
}

/// One thread raises while the guest acknowledges an interrupt from before: the line ends as the register says.
#[test]
fn a_line_that_orders_nothing() {
    check(4, || {
        let (guest, wire, config) =
            (Guest::new(1, 64, FLAGS), Wire::default(), NetConfig::new([2, 0, 0, 0, 0, 1]));
        let device = MmioDevice::new("loom", &config, guest.memory(), wire.clone(), Discard::default());
        let Ok(device) = device else { unreachable!("its configuration makes sense") };
        let mut worker = device.irq();
        assert!(worker.raise().is_ok());
        let worker = thread::spawn(move || worker.raise().is_ok());
        assert!(device.write(Register::InterruptAck as u64, &USED.to_le_bytes()).is_ok());
        assert!(worker.join().is_ok_and(|raised| raised));
        let mut status = [0; 4];
        device.read(Register::InterruptStatus as u64, &mut status);
        assert_eq!(wire.0.load(Ordering::Relaxed), u32::from_le_bytes(status) != 0);
    });
}
