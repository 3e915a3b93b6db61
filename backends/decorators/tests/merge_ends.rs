//! The merge's sleep and its end: whichever source has a frame ends the one, and no source by itself the other.
#![cfg(unix)]

mod rig;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use netrx::{FrameSource, Progress, SourceError};
use netrx_channel::ChannelSource;
use netrx_decorators::{Limits, MemberEnd, Merge, MergeError, Rate, RateLimit};
use netrx_mock::{Placing, Script, ScriptedSource, traffic};

use rig::{Counted, QUIET, STUCK, Tested, Worker, asleep, frame, guest, merge};

/// A channel's source, and its far end.
fn channel() -> (Box<dyn FrameSource>, Sender<Vec<u8>>) {
    let (frames, receiver) = unbounded();
    (Box::new(ChannelSource::new(receiver)), frames)
}

/// What the hook was told.
type Told = Arc<Mutex<Vec<(usize, bool)>>>;

fn told(ends: &Told) -> Vec<(usize, bool)> {
    ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn telling<S: FrameSource>(merged: Merge<S>) -> (Merge<S>, Told) {
    let ends = Told::default();
    let telling = Arc::clone(&ends);
    let hook = move |number, end: &MemberEnd| {
        let failed = matches!(end, MemberEnd::Failed(_));
        telling.lock().unwrap_or_else(PoisonError::into_inner).push((number, failed));
    };
    (merged.on_end(hook), ends)
}

#[test]
fn sources_end_one_by_one_and_the_last_ends_the_merge() -> Tested {
    let (sources, scripts): (Vec<_>, Vec<_>) = (0..3).map(|_| ScriptedSource::new()).unzip();
    let ((mut merged, ends), mut rig) = (telling(merge(sources)), guest(16)?);
    scripts[1].frame(frame(1, 60));
    scripts[1].close();
    assert_eq!(rig.turn(&mut merged)?, (Progress::Idle, vec![frame(1, 60)]));
    assert_eq!(told(&ends), [(1, false)]);
    scripts[2].frame(frame(2, 60));
    scripts[2].fail();
    scripts[1].frame(frame(9, 60));
    scripts[0].frame(frame(3, 60));
    let (progress, mut frames) = rig.turn(&mut merged)?;
    frames.sort_by_key(|frame| traffic::number(frame));
    assert_eq!((progress, frames), (Progress::Idle, vec![frame(2, 60), frame(3, 60)]));
    assert_eq!(told(&ends), [(1, false), (2, true)]);
    scripts[0].close();
    rig.driver.post(16);
    let error = rig.engine.poll(&mut merged, Instant::now()).err().ok_or("a source had failed")?;
    let netrx::EngineError::Source(SourceError::Other(error)) = error else { return Err(error.into()) };
    let error = error.downcast::<MergeError>().map_err(|_| "it is of another type")?;
    assert_eq!(error.source_number, 2);
    assert_eq!(error.to_string(), "no frame source is left; number 2 had failed: the script says so");
    assert_eq!(rig.engine.poll(&mut merged, Instant::now())?, Progress::Closed, "told once");
    assert_eq!(told(&ends), [(1, false), (2, true), (0, false)]);
    assert_eq!(
        (merged.into_sources().len(), scripts[1].left()),
        (3, 1),
        "what comes later stays where it is"
    );
    rig.check()?;
    Ok(())
}

/// A source whose wait fails.
struct Broken(ScriptedSource);

impl FrameSource for Broken {
    fn recv(&mut self, space: &mut netrx::RxSpace<'_>) -> Result<netrx::Received, SourceError> {
        self.0.recv(space)
    }

    fn wait(&mut self, _: Option<Instant>) -> Result<(), SourceError> {
        Err(SourceError::Other("the test says so".into()))
    }

    fn waker(&self) -> std::task::Waker {
        self.0.waker()
    }
}

#[test]
fn a_source_whose_wait_fails_is_told_and_the_others_go_on() -> Tested {
    let ((broken, _broken), (sound, script)) = (ScriptedSource::new(), ScriptedSource::new());
    let sources: [Box<dyn FrameSource>; 2] = [Box::new(Broken(broken)), Box::new(sound)];
    let (merged, ends) = telling(merge(sources));
    let mut worker = Worker::start(merged)?;
    for number in 0..3 {
        script.frame(frame(number, 60));
        assert_eq!(worker.take(1)?, [frame(number, 60)]);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(told(&ends), [(0, true)]);
    assert_eq!(worker.stop()?.frames_delivered, 3);
    Ok(())
}

#[test]
fn it_sleeps_until_one_of_them_has_a_frame() -> Tested {
    let ((channel, frames), (scripted, script)) = (channel(), ScriptedSource::new());
    let (other, hidden) = ScriptedSource::new();
    let sources: [Box<dyn FrameSource>; 3] = [channel, Box::new(scripted), Box::new(Counted::new(other))];
    let source = Counted::new(merge(sources));
    let counts = source.counts();
    let mut worker = Worker::start(source)?;
    for number in 0..30 {
        thread::sleep(Duration::from_millis(2));
        match number % 3 {
            0 => frames.send(frame(number, 60))?,
            1 => script.frame(frame(number, 60)),
            _ => hidden.frame(frame(number, 60)),
        }
        assert_eq!(worker.take(1)?, [frame(number, 60)]);
    }
    asleep(&counts);
    assert_eq!(worker.stop()?.frames_delivered, 30);
    Ok(())
}

#[test]
fn the_waker_of_one_source_ends_the_sleep_of_all() -> Tested {
    for hidden in [false, true] {
        let ((channel, _frames), (scripted, _script)) = (channel(), ScriptedSource::new());
        let scripted: Box<dyn FrameSource> = match hidden {
            true => Box::new(Counted::new(scripted)),
            false => Box::new(scripted),
        };
        let wakers = [channel.waker(), scripted.waker()];
        let mut merged = merge([channel, scripted]);
        for waker in wakers {
            // Whatever is left of what came before.
            for _ in 0..4 {
                merged.wait(Some(Instant::now()))?;
            }
            let (wake, begin) = (waker.clone(), Instant::now());
            let waking = thread::spawn(move || {
                thread::sleep(QUIET);
                wake.wake();
            });
            merged.wait(Some(begin + STUCK))?;
            assert!(begin.elapsed() >= QUIET / 2 && begin.elapsed() < STUCK, "{:?}", begin.elapsed());
            assert!(waking.join().is_ok());
        }
    }
    Ok(())
}

#[test]
fn many_idle_sources_do_not_slow_one_that_works() -> Tested {
    let (idle, _scripts): (Vec<_>, Vec<_>) = (0..200).map(|_| ScriptedSource::new()).unzip();
    let (busy, script) = ScriptedSource::placing(Placing::Burst(32));
    let source = Counted::new(merge(idle.into_iter().map(Counted::new).chain([Counted::new(busy)])));
    (0..1000).for_each(|number| script.frame(frame(number, 60)));
    let (counts, mut merged, mut rig) = (source.counts(), source, guest(256)?);
    assert_eq!(rig.drain(&mut merged)?.len(), 1000);
    assert!(counts().0 <= 8, "looked at {} times for 1000 frames", counts().0);
    Ok(())
}

/// A source of 60-byte frames of which one passes, and the next only after `millis` ms.
fn held_back(millis: u64) -> Result<(RateLimit<ScriptedSource>, Script), Box<dyn std::error::Error>> {
    let (source, script) = ScriptedSource::new();
    let per_second = NonZeroU64::new(60_000 / millis).ok_or("it is for at most a minute")?;
    let bytes = Some(Rate { per_second, burst: NonZeroU64::MIN });
    Ok((RateLimit::new(source, Limits { frames: None, bytes }), script))
}

#[test]
fn a_source_that_is_held_back_holds_nobody_up_and_passes_when_it_may() -> Tested {
    let ((limited, slow), (channel, frames)) = (held_back(400)?, channel());
    let sources: [Box<dyn FrameSource>; 2] = [Box::new(limited), channel];
    let source = Counted::new(merge(sources));
    let (counts, mut worker) = (source.counts(), Worker::start(source)?);
    let begin = Instant::now();
    (0..2).for_each(|number| slow.frame(frame(number, 60)));
    assert_eq!(worker.take(1)?, [frame(0, 60)]);
    let (late, passed) = (frame(1, 60), Cell::new(false));
    let mut take = || -> Result<Vec<_>, Box<dyn std::error::Error>> {
        let mut got = worker.take(1)?;
        if let Some(at) = got.iter().position(|frame| *frame == late) {
            assert!(begin.elapsed() >= Duration::from_millis(400) && !passed.get(), "it may not yet");
            passed.set(true);
            got.remove(at);
        }
        Ok(got)
    };
    for number in 100..120 {
        frames.send(frame(number, 60))?;
        // The one that is held back passes in the midst of these where they take longer than that.
        let got = std::iter::repeat_with(&mut take).find(|got| !got.as_ref().is_ok_and(Vec::is_empty));
        assert_eq!(got.transpose()?, Some(vec![frame(number, 60)]));
    }
    while !passed.get() {
        assert_eq!(take()?, [[0; 0]; 0]);
    }
    // One wait for each frame and each token, with some to spare for kicks.
    assert!(counts().1 < 100, "{} waits", counts().1);
    asleep(&counts);
    assert_eq!(worker.stop()?.frames_delivered, 22);
    Ok(())
}

#[test]
fn the_waker_of_a_source_that_is_held_back_ends_the_sleep_of_all() -> Tested {
    let (limited, script) = held_back(60_000)?;
    let waker = limited.waker();
    (0..2).for_each(|number| script.frame(frame(number, 60)));
    let (mut merged, mut rig) = (merge([limited]), guest(4)?);
    assert_eq!(rig.drain(&mut merged)?, [frame(0, 60)]);
    for _ in 0..2 {
        let (waker, begin) = (waker.clone(), Instant::now());
        let waking = thread::spawn(move || {
            thread::sleep(QUIET);
            waker.wake();
        });
        merged.wait(Some(begin + STUCK))?;
        assert!((QUIET / 2..STUCK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
        assert!(waking.join().is_ok());
        assert_eq!(rig.drain(&mut merged)?.len(), 0);
    }
    Ok(())
}
