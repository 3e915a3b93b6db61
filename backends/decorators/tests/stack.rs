//! Decorators in a stack, with trouble inside and out: what every counter says is the same.
#![cfg(unix)]

mod rig;

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};
use std::time::Instant;

use netrx::engine::{EngineConfig, Stats, WhenFull};
use netrx::{FrameSource, Progress, Received, RxConfig, RxSpace, SourceError};
use netrx_decorators::{Capture, CaptureHandle, Captured, Limits, Merge, Rate, RateLimit};
use netrx_mock::{Faults, Placing, Script, ScriptedSource, conformance, traffic};

use rig::{Feed, STUCK, Tested, Worker, frame, guest_with};

/// All three, around sources in trouble that place their frames in different ways.
type Stack = Capture<RateLimit<Merge<Box<dyn FrameSource>>>>;

fn limits(per_second: u64, burst: u64) -> Limits {
    let rate = NonZeroU64::new(per_second).zip(NonZeroU64::new(burst));
    let rate = rate.map(|(per_second, burst)| Rate { per_second, burst });
    Limits { frames: None, bytes: rate }
}

fn stack(limits: Limits, seed: u64, chance: f64) -> io::Result<(Stack, CaptureHandle, Vec<Script>)> {
    let source = |index: usize| -> (Box<dyn FrameSource>, Script) {
        let (source, script) = ScriptedSource::placing(Placing::EACH[index]);
        (Box::new(Faults::new(source, seed + index as u64, chance)), script)
    };
    let (sources, scripts): (Vec<_>, Vec<_>) = (0..Placing::EACH.len()).map(source).unzip();
    let (source, handle) = Capture::new(RateLimit::new(Merge::new(sources)?, limits));
    Ok((source, handle, scripts))
}

/// Frames of all kinds, each numbered by its source: good ones, runts, and some too long for any buffer.
fn feed(scripts: &[Script], count: u64) {
    for (origin, script) in (0..).zip(scripts) {
        for number in 0..count {
            let len = match number % 20 {
                7 => 9,
                13 => 3000,
                _ => 60 + (number as usize * 37) % 1400,
            };
            script.frame(frame(origin << 32 | number, len));
        }
    }
}

/// The ledgers of engine, capture and sources agree.
fn agree(stats: &Stats, captured: Captured, left: u64, fed: u64) {
    assert!(stats.is_balanced(), "{stats:?}");
    let dropped = stats.frames_taken - stats.frames_delivered;
    assert_eq!((captured.delivered, captured.dropped), (stats.frames_delivered, dropped));
    assert_eq!((captured.missed, stats.frames_taken + left), (0, fed));
}

/// Every source's frames are in order, and as they were made.
fn in_order(frames: &[Vec<u8>]) {
    let mut next = [0; Placing::EACH.len()];
    for frame in frames {
        let number = traffic::number(frame).unwrap_or(u64::MAX);
        let (origin, number) = ((number >> 32) as usize, number & 0xffff_ffff);
        assert!(next.get(origin).is_some_and(|next| number >= *next), "frame {number} of source {origin}");
        next[origin] = number + 1;
    }
}

fn left(scripts: &[Script]) -> u64 {
    scripts.iter().map(|script| script.left() as u64).sum()
}

#[test]
fn passes_the_suite() -> Tested {
    stack(limits(1, 1), 0, 0.0)?;
    for which in 0..Placing::EACH.len() {
        let make = || {
            let made = stack(limits(20_000_000, 3000), 0, 0.0);
            let Ok((source, handle, scripts)) = made else { unreachable!("there are descriptors to spare") };
            assert!(handle.start(io::sink()).is_ok());
            (source, Feed(scripts[which].clone()))
        };
        conformance::source(make);
        conformance::watched_source(make);
    }
    Ok(())
}

#[test]
fn every_ledger_says_the_same() -> Tested {
    for when_full in [WhenFull::Wait, WhenFull::DropNewest] {
        for seed in 0..10 {
            let (mut source, handle, scripts) = stack(limits(200_000_000, 20_000), seed * 3, 0.2)?;
            handle.start(io::sink())?;
            let mut rig = guest_with(16, EngineConfig { when_full, ..EngineConfig::default() })?;
            feed(&scripts, 100);
            let (mut frames, begin) = (Vec::new(), Instant::now());
            let mut post = 1;
            while left(&scripts) > 0 {
                assert!(begin.elapsed() < STUCK, "{} frames are left", left(&scripts));
                post = post % 7 + 1;
                rig.driver.post(post);
                match rig.engine.poll(&mut source, Instant::now())? {
                    Progress::Idle if left(&scripts) > 0 => source.wait(Some(Instant::now() + STUCK))?,
                    Progress::Closed => return Err("nothing has closed".into()),
                    Progress::Idle | Progress::More | Progress::Starved => {}
                }
                frames.extend(rig.driver.drain_frames()?);
            }
            let stats = rig.check()?;
            agree(&stats, handle.stop()?.ok_or("it was captured")?, 0, 300);
            assert_eq!(source.into_inner().charged(), (stats.frames_delivered, stats.bytes_delivered));
            assert_eq!(frames.len() as u64, stats.frames_delivered);
            in_order(&frames);
        }
    }
    Ok(())
}

#[test]
fn a_stop_in_the_midst_of_it_loses_nothing_and_it_goes_on_afterwards() -> Tested {
    for seed in 0..10 {
        // About 1000 frames a second beyond the burst: the stop finds it waiting for a token, or at work.
        let (source, handle, scripts) = stack(limits(700_000, 60_000), seed * 3, 0.1)?;
        let mut worker = Worker::start(source)?;
        handle.start(io::sink())?;
        feed(&scripts, 100);
        let frames = worker.take(20 + seed as usize * 8)?;
        let Worker { slot, mut driver } = worker;
        let stopped = slot.stop()?.ok_or("it was running")?;
        let rest = driver.drain_frames()?;
        let first = stopped.report.stats;
        agree(&first, handle.stop()?.ok_or("it was captured")?, left(&scripts), 300);
        assert_eq!((frames.len() + rest.len()) as u64, first.frames_delivered);
        slot.offer_source(0, stopped.source);
        let ring = netrx::ring::RingConfig { start: stopped.report.cursor, ..driver.ring_config() };
        let (features, engine) = (driver.features(), EngineConfig::default());
        // Before the worker: every frame that it takes is to be captured.
        handle.start(io::sink())?;
        slot.driver_ok(RxConfig { ring, features, engine, restored: true })?;
        let mut worker = Worker { slot, driver };
        let mut all: Vec<_> = frames.into_iter().chain(rest).collect();
        while left(&scripts) > 0 {
            all.extend(worker.take(1)?);
        }
        let stats = worker.stop()?;
        let fed = 300 - first.frames_taken;
        agree(&stats, handle.stop()?.ok_or("it was captured")?, 0, fed);
        in_order(&all);
    }
    Ok(())
}

/// A source that only settles what there is to settle while the guest has no room.
struct Settling(Arc<AtomicU32>);

impl FrameSource for Settling {
    fn recv(&mut self, _space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        Ok(Received::Empty)
    }

    fn wait(&mut self, _until: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn starved(&mut self, waker: &Waker) {
        self.0.fetch_add(1, Ordering::Relaxed);
        waker.wake_by_ref();
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn sources_within_settle_their_affairs_while_the_guest_has_no_room() -> Tested {
    let calls = Arc::new(AtomicU32::new(0));
    let source = |_| Faults::new(Settling(Arc::clone(&calls)), 1, 0.0);
    let (mut stack, _handle) = Capture::new(RateLimit::new(Merge::new((0..3).map(source))?, limits(1, 1)));
    let woken = Arc::new(Woken(AtomicU32::new(0)));
    stack.starved(&Waker::from(Arc::clone(&woken)));
    assert_eq!((calls.load(Ordering::Relaxed), woken.0.load(Ordering::Relaxed)), (3, 3));
    Ok(())
}
