//! What a worker costs that has nothing to do: nothing.

use std::sync::mpsc;
use std::task::Waker;
use std::time::{Duration, Instant};

use netrx::engine::Moderation;
use netrx::{
    EngineConfig, Features, FrameMeta, FrameSource, Placed, Received, RxConfig, RxSpace, SourceError,
};
#[cfg(unix)]
use netrx_channel::ChannelSource;
use netrx_oracle::threads::activity;
#[cfg(unix)]
use netrx_socketpair::SocketSource;

use super::{Rig, STUCK, Tested, eventually};

/// How long a worker is watched.
const WATCHED: Duration = Duration::from_millis(300);

/// Waits until the thread, which has the slot's name, has slept for a while on end: none does that wakes of itself.
fn sleeps_on(rig: &Rig, name: &str) {
    let look = || (rig.script.waits(), activity(name));
    eventually("the worker sleeps on", || {
        let before = look();
        std::thread::sleep(WATCHED);
        let has_slept = before.1.map_or(cfg!(not(target_os = "linux")), |(times, _)| times > 0);
        has_slept && look() == before
    });
}

/// A fresh rig whose worker's thread has a name of its own, of at most 15 bytes.
fn named(name: &str) -> Result<Rig, Box<dyn std::error::Error>> {
    let rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    Ok(rig.renamed(name))
}

/// No frames: it sleeps in the source's wait, once.
#[test]
fn an_idle_worker_does_not_wake() -> Tested {
    let rig = named("netrx-idle")?;
    rig.slot.driver_ok(rig.config())?;
    sleeps_on(&rig, "netrx-idle");
    assert_eq!(rig.script.waits(), 1);
    Ok(())
}

/// Nor does one whose source sleeps in a channel or in the system.
#[test]
#[cfg(unix)]
fn an_idle_worker_of_a_backend_does_not_wake() -> Tested {
    let (_sender, receiver) = crossbeam_channel::bounded::<Vec<u8>>(1);
    let (near, _far) = std::os::unix::net::UnixDatagram::pair()?;
    let rigs = [named("netrx-idle-chan")?, named("netrx-idle-sock")?];
    rigs[0].slot.offer_source(1, ChannelSource::new(receiver));
    rigs[1].slot.offer_source(1, SocketSource::new(near)?);
    for (rig, name) in rigs.iter().zip(["netrx-idle-chan", "netrx-idle-sock"]) {
        rig.slot.driver_ok(rig.config())?;
        sleeps_on(rig, name);
    }
    Ok(())
}

/// Frames and no room: it sleeps on its bell, and does not look at the source, readable as that is.
#[test]
fn a_worker_with_a_full_source_and_a_full_ring_does_not_wake() -> Tested {
    let mut rig = named("netrx-starved")?;
    (0..40).for_each(|_| rig.script.frame(*b"more than there is room for"));
    rig.slot.driver_ok(rig.config())?;
    eventually("the ring is full", || rig.script.left() == 24);
    sleeps_on(&rig, "netrx-starved");
    assert_eq!(rig.script.left(), 24, "what has no room stays in the source");
    for _ in 0..2 {
        assert_eq!(rig.frames(16)?.len(), 16);
        assert!(rig.driver.post(16).kick, "the device asked for a kick");
        rig.slot.kick();
    }
    assert_eq!(rig.frames(8)?.len(), 8);
    Ok(())
}

/// The worker wakes of itself for an interrupt that it holds back.
#[test]
fn what_is_held_back_is_raised_though_nothing_more_comes() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (latency, shortest) = (Duration::from_millis(400), Duration::from_millis(50));
    let engine = EngineConfig { moderation: Moderation::adaptive(latency), ..Default::default() };
    rig.slot.driver_ok(RxConfig { engine, ..rig.config() })?;
    let mut held = 0;
    for frame in 0..40 {
        let (before, begin) = (rig.probe.raised(), Instant::now());
        rig.pass(&[frame; 60])?;
        rig.driver.post(1);
        // At once or later, whichever it is: each frame is followed by an interrupt of its own here.
        eventually("an interrupt follows the frame", || rig.probe.raised() > before);
        held += u32::from(begin.elapsed() > shortest / 2);
        if held == 3 {
            break;
        }
    }
    rig.stop()?;
    assert_eq!(held, 3, "interrupts that were held back");
    Ok(())
}

/// A source that has to be asked `left` times while the guest has no room, by a wake each.
struct Settling {
    left: u32,
    settled: mpsc::Sender<()>,
}

impl FrameSource for Settling {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        assert_eq!(space.put(&[0; 60], FrameMeta::PLAIN), Placed::NoRoom);
        Ok(Received::More)
    }

    fn wait(&mut self, _until: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn starved(&mut self, waker: &Waker) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let waker = waker.clone();
            // By another thread, which may be earlier or later than the worker's sleep.
            std::thread::spawn(move || waker.wake());
        } else {
            self.settled.send(()).unwrap_or_default();
        }
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

/// A guest without room keeps a source from nothing but frames.
#[test]
fn a_source_settles_its_affairs_while_the_guest_has_no_room() -> Tested {
    let rig = Rig::starved(Features::VERSION_1)?;
    let (settled, all) = mpsc::channel();
    rig.slot.offer_source(1, Settling { left: 50, settled });
    rig.slot.driver_ok(rig.config())?;
    all.recv_timeout(STUCK)?;
    rig.stop()?;
    Ok(())
}
