//! The rate limit: what passes in which time, what is charged, and when it wakes up.

mod rig;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use netrx::engine::{EngineConfig, WhenFull};
use netrx::source::WakeFlag;
use netrx::{FrameMeta, FrameSource, Progress, Received, RxSpace, SourceError};
use netrx_decorators::{Limits, Rate, RateLimit};
use netrx_mock::{Placing, Script, ScriptedSource, conformance};

use rig::{Counted, Feed, Finite, QUIET, STUCK, Tested, Worker, asleep, frame, guest, guest_with};

fn rate(per_second: u64, burst: u64) -> Option<Rate> {
    Some(Rate { per_second: NonZeroU64::new(per_second)?, burst: NonZeroU64::new(burst)? })
}

/// A clock that goes when it is told to.
#[derive(Clone)]
struct Clock {
    begin: Instant,
    nanos: Arc<AtomicU64>,
}

impl Clock {
    fn new() -> Self {
        Self { begin: Instant::now(), nanos: Arc::default() }
    }

    fn pass(&self, time: Duration) {
        self.nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    fn now(&self) -> Instant {
        self.begin + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn limit<S: FrameSource>(
        &self,
        source: S,
        limits: Limits,
    ) -> RateLimit<S, impl Fn() -> Instant + Send + use<S>> {
        let clock = self.clone();
        RateLimit::with_clock(source, limits, move || clock.now())
    }
}

fn feed(script: &Script, count: u64) {
    (0..count).for_each(|number| script.frame(frame(number, 60)));
}

#[test]
fn passes_the_suite_with_a_limit_that_is_not_met_and_with_one_that_is() {
    let generous = Limits { frames: rate(1_000_000_000, 1_000_000), bytes: rate(1_000_000_000_000, 1 << 30) };
    let tight = Limits { frames: rate(20_000, 10), bytes: rate(10_000_000, 3000) };
    for limits in [generous, tight, Limits::default()] {
        for placing in Placing::EACH {
            conformance::source(|| {
                let (source, script) = ScriptedSource::placing(placing);
                (RateLimit::new(source, limits), Feed(script))
            });
            if limits != tight {
                // One that is met runs empty in between, which that suite does not expect.
                conformance::finite_source(|frames| RateLimit::new(Finite::new(placing, frames), limits));
            }
        }
    }
}

/// Offers frames of `len` bytes at `offered` a second, in steps of 10 ms for 2 s; returns frames and bytes delivered.
fn offer(offered: u64, len: usize, limits: Limits) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let (clock, (inner, script)) = (Clock::new(), ScriptedSource::new());
    let (mut rig, mut source) = (guest(256)?, clock.limit(inner, limits));
    let mut delivered = (0, 0);
    for step in 1..=200_u64 {
        let frames = offered * step / 100 - offered * (step - 1) / 100;
        (0..frames).for_each(|number| script.frame(frame(number, len)));
        for arrived in rig.drain(&mut source)? {
            delivered = (delivered.0 + 1, delivered.1 + arrived.len() as u64);
        }
        clock.pass(Duration::from_millis(10));
    }
    let stats = rig.check()?;
    assert_eq!(source.charged(), delivered);
    assert_eq!((stats.frames_delivered, stats.bytes_delivered), delivered);
    Ok(delivered)
}

#[test]
fn delivered_is_the_least_of_what_is_offered_and_what_is_allowed() -> Tested {
    println!("offered/s | length | frames/s (burst) | bytes/s (burst)    | delivered in 2 s");
    let unlimited = Limits::default();
    let frames = |per_second, burst| Limits { frames: rate(per_second, burst), bytes: None };
    let bytes = |per_second, burst| Limits { frames: None, bytes: rate(per_second, burst) };
    let both = Limits { frames: rate(500, 20), bytes: rate(60_000, 600) };
    // The last look is after 1.99 s: the burst, and 1.99 times the rate; a bucket of one takes one a look.
    let cases = [
        (1000, 60, unlimited, 2000),
        (1000, 60, frames(1000, 100), 2000),
        (1000, 60, frames(200, 50), 50 + 398),
        (1000, 60, frames(200, 1), 200),
        (1000, 1514, bytes(151_400, 1514), 200),
        (1000, 1514, bytes(1_514_000, 15_140), 2000),
        (100, 1514, bytes(15_140, 15_140), 10 + 20),
        (1000, 60, both, 20 + 995),
        (10_000, 60, both, 20 + 995),
    ];
    for (offered, len, limits, expected) in cases {
        let (count, bytes) = offer(offered, len, limits)?;
        let show = |rate: Option<Rate>| {
            rate.map_or("-".into(), |rate| format!("{} ({})", rate.per_second, rate.burst))
        };
        println!(
            "{offered:>9} | {len:>6} | {:>16} | {:>18} | {count} frames, {bytes} bytes",
            show(limits.frames),
            show(limits.bytes)
        );
        assert_eq!((count, bytes), (expected, expected * len as u64));
    }
    Ok(())
}

#[test]
fn a_frame_is_charged_when_it_is_placed_and_not_when_it_is_offered_again() -> Tested {
    for placing in [Placing::Copy, Placing::Burst(4), Placing::Read { largest: 1514, batch: 4 }] {
        let (clock, (inner, script)) = (Clock::new(), ScriptedSource::placing(placing));
        let limits = Limits { frames: rate(10, 6), bytes: rate(1000, 1000) };
        let (mut rig, mut source) = (guest(4)?, clock.limit(inner, limits));
        feed(&script, 8);
        for _ in 0..50 {
            assert_eq!(rig.engine.poll(&mut source, Instant::now())?, Progress::Starved);
        }
        assert_eq!(source.charged(), (0, 0));
        // Four have room at once; the fifth is offered many times before it has.
        rig.driver.post(4);
        for _ in 0..50 {
            assert_eq!(rig.engine.poll(&mut source, Instant::now())?, Progress::Starved);
        }
        assert_eq!((source.charged(), source.due()), ((4, 240), None), "{placing:?}");
        assert_eq!(rig.driver.drain_frames()?.len(), 4);
        let more = rig.drain(&mut source)?;
        assert_eq!((more.len(), source.charged()), (2, (6, 360)), "of the burst, two were left");
        assert_eq!(source.due(), Some(clock.now() + Duration::from_millis(100)));
        clock.pass(Duration::from_millis(200));
        assert_eq!(rig.drain(&mut source)?.len(), 2);
        let stats = rig.check()?;
        assert_eq!((stats.frames_delivered, stats.bytes_delivered), source.charged());
    }
    Ok(())
}

#[test]
fn what_is_dropped_is_not_charged() -> Tested {
    let config = EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() };
    let (clock, (inner, script)) = (Clock::new(), ScriptedSource::new());
    let limits = Limits { frames: rate(1, 10), bytes: None };
    let (mut rig, mut source) = (guest_with(4, config)?, clock.limit(inner, limits));
    script.frame([0; 10]);
    feed(&script, 20);
    rig.driver.post(4);
    assert_eq!(rig.engine.poll(&mut source, Instant::now())?, Progress::Idle);
    let stats = rig.check()?;
    assert_eq!((stats.frames_taken, stats.frames_delivered, source.charged().0), (21, 4, 4));
    Ok(())
}

#[test]
fn it_says_when_the_next_frame_may_pass_and_no_sooner_does_it() -> Tested {
    let (clock, (inner, script)) = (Clock::new(), ScriptedSource::new());
    let limits = Limits { frames: rate(3, 1), bytes: None };
    let (mut rig, mut source) = (guest(4)?, clock.limit(inner, limits));
    assert_eq!((rig.drain(&mut source)?.len(), source.due()), (0, None), "nothing is held back");
    feed(&script, 3);
    assert_eq!(rig.drain(&mut source)?.len(), 1);
    // A third of a second, rounded up.
    let third = Duration::from_nanos(333_333_334);
    assert_eq!(source.due(), Some(clock.now() + third));
    clock.pass(third - Duration::from_nanos(1));
    assert_eq!(rig.drain(&mut source)?.len(), 0);
    clock.pass(Duration::from_nanos(1));
    assert_eq!(rig.drain(&mut source)?.len(), 1);
    Ok(())
}

/// Waits on a thread of its own; sends the time it took.
fn waiting<S: FrameSource + 'static>(mut source: S, until: Option<Instant>) -> mpsc::Receiver<Duration> {
    let (done, took) = mpsc::channel();
    thread::spawn(move || {
        let begin = Instant::now();
        assert!(source.wait(until).is_ok());
        done.send(begin.elapsed())
    });
    took
}

/// A source that holds frames back for `millis` ms.
fn throttled(millis: u64) -> Result<(RateLimit<ScriptedSource>, Script), Box<dyn std::error::Error>> {
    let (inner, script) = ScriptedSource::new();
    let limits = Limits { frames: None, bytes: rate(60_000 / millis, 1) };
    let (mut rig, mut source) = (guest(4)?, RateLimit::new(inner, limits));
    feed(&script, 3);
    assert_eq!(rig.drain(&mut source)?.len(), 1);
    assert!(source.due().is_some());
    Ok((source, script))
}

#[test]
fn the_wait_ends_when_the_next_token_is_due() -> Tested {
    let (source, _script) = throttled(300)?;
    let due = source.due().ok_or("it is throttled")?;
    let took = waiting(source, None).recv_timeout(STUCK)?;
    assert!(Instant::now() >= due, "it ended after {took:?}");
    Ok(())
}

#[test]
fn a_deadline_a_wake_and_a_wake_before_it_end_the_wait_for_a_token() -> Tested {
    let minute = 60_000;
    let (source, _script) = throttled(minute)?;
    let until = Instant::now() + QUIET;
    waiting(source, Some(until)).recv_timeout(STUCK)?;
    assert!(Instant::now() >= until);
    let (source, _script) = throttled(minute)?;
    let waker = source.waker();
    let took = waiting(source, None);
    assert!(took.recv_timeout(QUIET).is_err(), "it sleeps");
    waker.wake_by_ref();
    took.recv_timeout(STUCK)?;
    let (source, script) = throttled(minute)?;
    source.waker().wake();
    waiting(source, None).recv_timeout(STUCK)?;
    drop(script);
    Ok(())
}

#[test]
fn without_frames_it_does_not_wake_for_tokens_and_with_them_once_a_token() -> Tested {
    let (inner, script) = ScriptedSource::new();
    let source = Counted::new(RateLimit::new(inner, Limits { frames: rate(50, 1), bytes: None }));
    let counts = source.counts();
    let mut worker = Worker::start(source)?;
    feed(&script, 6);
    let begin = Instant::now();
    worker.take(6)?;
    assert!(begin.elapsed() >= Duration::from_millis(99), "five tokens of 20 ms: {:?}", begin.elapsed());
    let (recvs, waits) = asleep(&counts);
    // The worker may be asked anew after a kick; each wait is for a token, or the last one.
    assert!(recvs <= 30 && waits <= 20, "{recvs} looks, {waits} waits");
    assert_eq!(worker.stop()?.frames_delivered, 6);
    Ok(())
}

#[test]
fn a_stop_ends_a_worker_that_waits_for_a_token_and_loses_nothing() -> Tested {
    let (inner, script) = ScriptedSource::new();
    let mut worker = Worker::start(RateLimit::new(inner, Limits { frames: None, bytes: rate(1, 1) }))?;
    feed(&script, 5);
    worker.take(1)?;
    let begin = Instant::now();
    let stats = worker.stop()?;
    assert!(begin.elapsed() < STUCK);
    assert_eq!((stats.frames_taken, script.left()), (1, 4));
    Ok(())
}

/// Has a frame for whoever asks, and affairs that go on without frames.
struct Busy {
    /// How often it was left alone, and whom it wakes for the next time.
    left_alone: Arc<Mutex<(usize, Option<Waker>)>>,
    woken: WakeFlag,
}

impl FrameSource for Busy {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let _ = space.put(&frame(0, 60), FrameMeta::PLAIN);
        Ok(Received::More)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.woken.wait(until);
        Ok(())
    }

    fn starved(&mut self, waker: &Waker) {
        let mut left_alone = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
        *left_alone = (left_alone.0 + 1, Some(waker.clone()));
    }

    fn waker(&self) -> Waker {
        self.woken.waker()
    }
}

/// A connection that the guest resets ends then, not when its next frame may pass.
#[test]
fn a_source_that_may_not_send_goes_about_its_other_affairs() -> Tested {
    let left_alone = Arc::<Mutex<(usize, Option<Waker>)>>::default();
    let look = || left_alone.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let busy = Busy { left_alone: Arc::clone(&left_alone), woken: WakeFlag::default() };
    // The second frame is due in a minute.
    let mut worker = Worker::start(RateLimit::new(busy, Limits { frames: None, bytes: rate(1, 1) }))?;
    assert_eq!(worker.take(1)?.len(), 1);
    let mut before = 0;
    for wakes in 0..3 {
        let begin = Instant::now();
        while look().0 == before {
            assert!(begin.elapsed() < STUCK, "it heard {before} times that it is left alone");
            thread::yield_now();
        }
        thread::sleep(QUIET);
        let (heard, waker) = look();
        // At first it may have heard it of the worker, too, while the guest had no room.
        assert!(wakes == 0 || heard == before + 1, "once for each wake, not {} times", heard - before);
        before = heard;
        waker.ok_or("it was given none")?.wake();
    }
    worker.stop()?;
    Ok(())
}
