//! A long flow of frames to a guest that starves and refills at random.

use std::sync::Arc;
use std::thread;

use netrx::worker::End;
use netrx::{FrameSource, RxConfig};
use netrx_mock::{
    DriverConfig, FakeDriver, Faults, GuestThread, MockIrq, MockMemory, Refill, Rest, eventually, traffic,
};

use super::{FRAME, Load, Seen, Send, Setup, Slot, Tested, alone, balanced, channel};

/// The full number of frames, and the one for a run that should not take long.
const LONG: u64 = 10_000_000;
const SHORT: u64 = 20_000;

/// Sends frames from number 0 on.
pub(crate) fn send_all(frames: u64, mut send: Send) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut frame = Vec::new();
        (0..frames)
            .take_while(|number| {
                traffic::make(*number, FRAME, &mut frame);
                send(&frame)
            })
            .count() as u64
    })
}

fn flow(load: Load, setup: &Setup, source: Box<dyn FrameSource>, send: Send) -> Tested {
    println!("{setup:?}");
    let memory = MockMemory::heap(&[1 << 16, 1 << 16]);
    let driver = FakeDriver::new(&memory, DriverConfig::new(64, setup.features, setup.shape.clone()))?;
    let config = RxConfig {
        ring: driver.ring_config(),
        features: setup.features,
        engine: Default::default(),
        restored: false,
    };
    let (irq, probe) = MockIrq::new();
    let slot = Arc::new(Slot::default());
    slot.deposit_memory(memory);
    slot.deposit_irq(irq);
    slot.offer_source(0, source);
    slot.driver_ok(config)?;
    let sender = send_all(load.frames, send);
    eventually("the first frame finds no room", || slot.stats().is_some_and(|stats| stats.starved > 0));

    let (seen, kicked) = (Seen::default(), Arc::clone(&slot));
    let refill = Refill::Starving(fastrand::Rng::with_seed(load.seed));
    let each = seen.clone();
    let guest = GuestThread::spawn(
        driver,
        probe,
        refill,
        Rest::Sleeps,
        move || kicked.kick(),
        move |taken| each.check(taken),
    );
    seen.reach(load.frames, &guest);

    let guest = guest.stop().ok_or("the guest panicked")?;
    assert_eq!((guest.violation, guest.lost_interrupts, guest.frames), (None, 0, load.frames));
    assert_eq!(sender.join().ok(), Some(load.frames));
    let report = slot.stop()?.ok_or("no worker was running")?.report;
    guest.driver.audit()?;
    balanced(&report);
    assert!(matches!(report.end, End::Stopped | End::Closed), "{:?}", report.end);
    assert_eq!(report.stats.frames_delivered, load.frames);
    assert_eq!(report.stats.bytes_delivered, load.frames * FRAME as u64);
    println!("{} kicks, {} sleeps, {:?}", guest.kicks, guest.sleeps, report.stats);
    Ok(())
}

#[test]
#[ignore = "10 million frames"]
fn channel_long() -> Tested {
    let _alone = alone();
    let (source, send) = channel();
    flow(Load::of(LONG, 0), &Setup::usual(), source, send)
}

#[test]
fn channel_short() -> Tested {
    let _alone = alone();
    for setup in Setup::all() {
        let (source, send) = channel();
        flow(Load::of(SHORT, 0), &setup, source, send)?;
    }
    Ok(())
}

/// The same with a source that lies about being empty, yields early and wakes for nothing.
#[test]
fn channel_with_faults() -> Tested {
    let _alone = alone();
    for setup in Setup::all() {
        let (source, send) = channel();
        let load = Load::of(SHORT, 0);
        flow(load, &setup, Box::new(Faults::new(source, load.seed, 0.1)), send)?;
    }
    Ok(())
}

#[cfg(unix)]
#[test]
#[ignore = "10 million frames"]
fn socketpair_long() -> Tested {
    let _alone = alone();
    let (source, send) = super::socketpair()?;
    flow(Load::of(LONG, 0), &Setup::usual(), source, send)
}

#[cfg(unix)]
#[test]
fn socketpair_short() -> Tested {
    let _alone = alone();
    for setup in Setup::all() {
        let (source, send) = super::socketpair()?;
        flow(Load::of(SHORT, 0), &setup, source, send)?;
    }
    Ok(())
}
