//! Kicks and stops against a worker that goes to sleep, through the slot.
//!
//! Known failures 1 and 2 (a kick that comes while the worker goes to sleep is not lost) and 38 (a completion written
//! into memory that was taken back: after a stop nothing writes).

#![cfg(loom)]

use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::time::Instant;

use loom::thread;
use netrx::worker::{End, Stopped};
use netrx::{
    Features, FrameMeta, FrameSource, Placed, Received, RxConfig, RxSpace, RxWorkerSlot, SourceError,
};
use netrx_loom::{Bell, FLAGS, Few, Guest, Line, Ram, Touched, check, event_idx};

type Slot = RxWorkerSlot<Arc<Ram>, Line>;

/// A worker with `frames` frames on the guest's ring, and the line on which the guest sleeps.
fn start(guest: &Guest, frames: u8) -> (Arc<Slot>, Line) {
    let (slot, line) = (Slot::default(), Line::default());
    slot.deposit_memory(guest.memory());
    slot.deposit_irq(line.clone());
    slot.offer_source(0, Few::new(frames, guest.touched()));
    driver_ok(&slot, guest);
    (Arc::new(slot), line)
}

fn driver_ok(slot: &Slot, guest: &Guest) {
    let config = RxConfig {
        ring: guest.ring_config(),
        features: guest.features(),
        engine: Default::default(),
        restored: false,
    };
    let started = slot.driver_ok(config);
    assert!(started.is_ok(), "{started:?}");
}

fn stop(slot: &Slot) -> Option<Stopped> {
    let stopped = slot.stop();
    assert!(stopped.is_ok(), "{stopped:?}");
    let stopped = stopped.ok().flatten();
    assert!(stopped.iter().all(|stopped| matches!(stopped.report.end, End::Stopped)), "{stopped:?}");
    stopped
}

/// The host takes its memory back: loom fails if the worker may still be writing there.
fn reuse(buffers: &[Touched]) {
    buffers.iter().for_each(Touched::read);
}

/// The driver posts and kicks while the worker, with a frame and no room, goes to sleep.
fn kick_meets_sleep(features: Features) {
    check(5, move || {
        let mut guest = Guest::new(1, 64, features);
        let (slot, line) = start(&guest, 1);
        if guest.post() {
            slot.kick();
        }
        guest.take_many(1, || line.sleep());
        assert!(stop(&slot).is_some());
    });
}

#[test]
fn kick_meets_sleep_by_flags() {
    kick_meets_sleep(FLAGS);
}

#[test]
fn kick_meets_sleep_by_event_idx() {
    kick_meets_sleep(event_idx());
}

/// Two kicks, of which the worker may be asleep for either: the flag of the first must not swallow the second.
#[test]
fn two_kicks_meet_two_sleeps() {
    check(3, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let (slot, line) = start(&guest, 2);
        for _ in 0..2 {
            if guest.post() {
                slot.kick();
            }
            guest.take_many(1, || line.sleep());
        }
        assert!(stop(&slot).is_some());
    });
}

/// The VMM stops a worker that has a frame and no room: it may be on its way to sleep on its bell.
#[test]
fn stop_meets_a_starved_worker() {
    check(5, || {
        let guest = Guest::new(1, 64, FLAGS);
        let (slot, _) = start(&guest, 1);
        assert!(stop(&slot).is_some());
        assert_eq!(guest.used_index(), 0);
    });
}

/// The VMM stops a worker that has nothing to do: it may be on its way to sleep in its source.
#[test]
fn stop_meets_an_idle_worker() {
    check(5, || {
        let guest = Guest::new(1, 64, FLAGS);
        let (slot, _) = start(&guest, 0);
        assert!(stop(&slot).is_some());
    });
}

/// The VMM stops a worker in the middle of its work. Afterwards nothing writes to the guest, what was written was
/// published, and the worker's report says how far it came.
#[test]
fn stop_meets_a_busy_worker() {
    check(5, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let _ = guest.post();
        let (slot, _) = start(&guest, 2);
        let stopped = stop(&slot);
        reuse(&guest.touched());
        let cursor = stopped.map(|stopped| stopped.report.cursor);
        assert_eq!(cursor.map(|cursor| cursor.next_used), Some(guest.used_index()));
        assert_eq!(
            cursor.map(|cursor| cursor.next_avail),
            Some(guest.used_index()),
            "the rest was given back"
        );
    });
}

/// Two threads stop the same worker: one of them gets its report, and for both of them nothing writes afterwards.
#[test]
fn stop_meets_stop() {
    check(4, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let _ = guest.post();
        let (slot, _) = start(&guest, 1);
        let (other, buffers) = (Arc::clone(&slot), guest.touched());
        let other = thread::spawn(move || {
            let stopped = stop(&other).is_some();
            reuse(&buffers);
            stopped
        });
        let mine = stop(&slot).is_some();
        reuse(&guest.touched());
        assert!(other.join().is_ok_and(|theirs| theirs != mine), "exactly one has the report");
    });
}

/// A kick from one thread meets a stop from another: the kick neither blocks nor wakes what is gone.
#[test]
fn kick_meets_stop() {
    check(5, || {
        let guest = Guest::new(1, 64, FLAGS);
        let (slot, _) = start(&guest, 1);
        let other = Arc::clone(&slot);
        let kicker = thread::spawn(move || other.kick());
        assert!(stop(&slot).is_some());
        assert!(kicker.join().is_ok());
    });
}

/// The device is reset and started again while a kick is under way, and then the driver posts and kicks: a kick for the
/// first worker neither wakes nor silences the second for good.
#[test]
fn kick_meets_a_second_worker() {
    check(3, || {
        let mut guest = Guest::new(1, 64, FLAGS);
        let (slot, line) = start(&guest, 1);
        let other = Arc::clone(&slot);
        let kicker = thread::spawn(move || other.kick());
        assert!(matches!(slot.reset(), Ok(Some(_))));
        driver_ok(&slot, &guest);
        if guest.post() {
            slot.kick();
        }
        guest.take_many(1, || line.sleep());
        assert!(kicker.join().is_ok());
        assert!(stop(&slot).is_some());
    });
}

/// A source that has something to do twice while the guest has no room: by the worker's first call, and by its own waker.
struct Settling {
    waker: mpsc::Sender<Waker>,
    settled: Bell,
}

impl FrameSource for Settling {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        assert_eq!(space.put(&[0; 14], FrameMeta::PLAIN), Placed::NoRoom);
        Ok(Received::More)
    }

    fn wait(&mut self, _until: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn starved(&mut self, waker: &Waker) {
        // Nobody listens to the second.
        let _ = self.waker.send(waker.clone());
        self.settled.ring();
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

/// The source is called once more however its waker meets the worker, which goes to sleep for want of room.
#[test]
fn a_source_calls_a_worker_that_goes_to_sleep() {
    check(5, || {
        let guest = Guest::new(1, 64, FLAGS);
        let (slot, settled) = (Slot::default(), Bell::default());
        let (waker, wakers) = mpsc::channel();
        slot.deposit_memory(guest.memory());
        slot.deposit_irq(Line::default());
        slot.offer_source(0, Settling { waker, settled: settled.clone() });
        driver_ok(&slot, &guest);
        settled.sleep();
        wakers.try_iter().for_each(Waker::wake);
        settled.sleep();
        assert!(stop(&slot).is_some());
    });
}
