//! The merge: fair by bytes whatever the schedule, and deaf to no source.
#![cfg(unix)]

mod rig;

use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use netrx::engine::{Budget, EngineConfig, WhenFull};
use netrx::{FrameSource, Progress};
use netrx_channel::ChannelSource;
use netrx_decorators::QUANTUM;
use netrx_mock::conformance::{self, Feeder};
use netrx_mock::{Faults, Placing, Script, ScriptedSource, traffic};
use proptest::prelude::*;

use rig::{Counted, Feed, Finite, STUCK, Tested, Worker, frame, guest, guest_with, merge, merging_guest};

type Error = Box<dyn std::error::Error>;

#[test]
fn passes_the_suites_whichever_source_has_the_frames() {
    for placing in Placing::EACH {
        for with_frames in 0..3 {
            conformance::source(|| {
                let mut sources: Vec<_> = (0..3).map(|_| ScriptedSource::placing(placing)).collect();
                let script = sources.get(with_frames).map(|(_, script)| script.clone());
                let merged = merge(sources.drain(..).map(|(source, _)| source));
                (merged, Feed(script.unwrap_or_else(|| unreachable!("there are three"))))
            });
        }
        conformance::finite_source(|frames| merge([Finite::new(placing, &[]), Finite::new(placing, frames)]));
    }
    conformance::finite_source(|frames| merge([Finite::new(Placing::Copy, frames)]));
}

/// Feeds one of three sources, each of which is waited for in its own way, the last in none but its own.
struct Any {
    frames: Sender<Vec<u8>>,
    script: Script,
    hidden: Script,
    which: usize,
}

impl Any {
    fn new(which: usize) -> (Vec<Box<dyn FrameSource>>, Self) {
        let (frames, receiver) = unbounded();
        let ((scripted, script), (other, hidden)) = (ScriptedSource::new(), ScriptedSource::new());
        let sources: Vec<Box<dyn FrameSource>> =
            vec![Box::new(ChannelSource::new(receiver)), Box::new(scripted), Box::new(Counted::new(other))];
        (sources, Self { frames, script, hidden, which })
    }
}

impl Feeder for Any {
    fn send(&mut self, frame: &[u8]) {
        match self.which {
            0 => assert!(self.frames.send(frame.to_vec()).is_ok()),
            1 => self.script.frame(frame),
            _ => self.hidden.frame(frame),
        }
    }
}

#[test]
fn passes_the_suite_with_sources_of_several_types() {
    for which in 0..3 {
        conformance::source(|| {
            let (sources, feeder) = Any::new(which);
            (merge(sources), feeder)
        });
        conformance::source(|| {
            let (sources, feeder) = Any::new(which);
            (merge(sources.into_iter().map(|source| Faults::new(source, 5, 0.0))), feeder)
        });
        // A merge in a merge: watched, unless it has the source that cannot be.
        for nested in [2, 3] {
            conformance::source(|| {
                let (mut sources, feeder) = Any::new(which);
                let rest = sources.split_off(nested);
                let inner: Box<dyn FrameSource> = Box::new(merge(sources));
                (merge(std::iter::once(inner).chain(rest)), feeder)
            });
        }
    }
}

/// The source that a frame is of, by its number.
fn origin(frame: &[u8]) -> Option<usize> {
    traffic::number(frame).map(|number| (number >> 32) as usize)
}

/// Adds what came to each source's bytes.
fn count(bytes: &mut [u64], frames: &[Vec<u8>]) -> Result<(), Error> {
    for frame in frames {
        *bytes.get_mut(origin(frame).ok_or("a frame came changed")?).ok_or("of an unknown source")? +=
            frame.len() as u64;
    }
    Ok(())
}

/// Refills a source, so that it has at least so many bytes.
fn backlog(script: &Script, origin: u64, next: &mut u64, lens: &[usize], frames: usize) {
    while script.left() < frames {
        let len = lens.get(*next as usize % lens.len()).copied().unwrap_or(60);
        script.frame(frame(origin << 32 | *next, len));
        *next += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn of_two_that_have_frames_none_is_ahead_by_more_than_a_quantum_and_a_frame(
        lens in proptest::collection::vec(proptest::collection::vec(22..9000_usize, 1..5), 2..4),
        placings in proptest::collection::vec(0..3_usize, 4),
        (frames, budget) in (1..60_u32, 1..200_000_u64),
        schedule in proptest::collection::vec(0..40_usize, 40..120),
    ) {
        let placing = |index: usize| match Placing::EACH[placings[index]] {
            Placing::Read { batch, .. } => Placing::Read { largest: 9000, batch },
            other => other,
        };
        let (sources, scripts): (Vec<_>, Vec<_>) =
            (0..lens.len()).map(|index| ScriptedSource::placing(placing(index))).unzip();
        let mut merged = merge(sources);
        let budget = Budget { frames, bytes: budget };
        let mut rig = merging_guest(64, EngineConfig { budget, ..EngineConfig::default() })?;
        let (mut next, mut bytes) = (vec![0; lens.len()], vec![0; lens.len()]);
        for post in schedule {
            for (index, script) in scripts.iter().enumerate() {
                backlog(script, index as u64, &mut next[index], &lens[index], 70);
            }
            rig.driver.post(post);
            let polled = rig.engine.poll(&mut merged, Instant::now());
            prop_assert!(matches!(polled, Ok(Progress::More | Progress::Starved)), "{:?}", polled);
            let arrived = rig.driver.drain_frames()?;
            count(&mut bytes, &arrived).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let (least, most) = (bytes.iter().min(), bytes.iter().max());
            let ahead = most.zip(least).map_or(0, |(most, least)| most - least);
            prop_assert!(ahead <= QUANTUM + 9000, "{:?}", bytes);
        }
        rig.check()?;
    }
}

#[test]
fn a_source_of_long_frames_and_one_of_short_ones_get_the_same_bytes() -> Tested {
    let (heavy, heavies) = ScriptedSource::placing(Placing::Burst(32));
    let (light, lights) = ScriptedSource::new();
    let (mut merged, mut rig) = (merge([heavy, light]), guest(256)?);
    let (mut next, mut bytes) = ([0; 2], [0; 2]);
    while bytes.iter().sum::<u64>() < 8_000_000 {
        backlog(&heavies, 0, &mut next[0], &[1514], 300);
        backlog(&lights, 1, &mut next[1], &[60], 300);
        count(&mut bytes, &rig.turn(&mut merged)?.1)?;
    }
    println!("bytes of frames of 1514 and of 60: {bytes:?}");
    assert!(bytes[0].abs_diff(bytes[1]) <= QUANTUM + 1514, "{bytes:?}");
    Ok(())
}

#[test]
fn what_is_dropped_costs_too_so_that_a_flood_of_it_starves_nobody() -> Tested {
    let ((flood, runts), (other, script)) = (ScriptedSource::new(), ScriptedSource::new());
    let (mut merged, mut rig) = (merge([flood, other]), guest(64)?);
    script.frame(frame(0, 60));
    let begin = Instant::now();
    loop {
        while runts.left() < 600 {
            runts.frame([0; 5]);
        }
        let (_, frames) = rig.turn(&mut merged)?;
        if frames == [frame(0, 60)] {
            break;
        }
        assert!(begin.elapsed() < STUCK && frames.is_empty(), "the other source has its turn");
    }
    let dropped = rig.check()?.frames_taken - 1;
    assert!(dropped <= QUANTUM.div_ceil(14) + 256, "{dropped} were dropped before");
    Ok(())
}

#[test]
fn a_full_guest_that_drops_takes_from_all() -> Tested {
    let config = EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() };
    let (sources, scripts): (Vec<_>, Vec<_>) = (0..3).map(|_| ScriptedSource::new()).unzip();
    let (mut merged, mut rig) = (merge(sources), guest_with(4, config)?);
    scripts.iter().for_each(|script| (0..50).for_each(|number| script.frame(frame(number, 60))));
    rig.driver.post(4);
    while rig.engine.poll(&mut merged, Instant::now())? != Progress::Idle {}
    let stats = rig.check()?;
    assert_eq!((stats.frames_taken, stats.frames_delivered), (150, 4));
    Ok(())
}

#[test]
fn sources_in_trouble_lose_nothing_and_hold_nobody_up() -> Tested {
    for seed in 0..20 {
        let (sources, scripts): (Vec<_>, Vec<_>) = (0..4)
            .map(|index| {
                let (source, script) = ScriptedSource::placing(Placing::EACH[index % 3]);
                (Faults::new(source, seed * 4 + index as u64, 0.3), script)
            })
            .unzip();
        let mut worker = Worker::start(Faults::new(merge(sources), seed, 0.1))?;
        for number in 0..400 {
            for (origin, script) in (0..).zip(&scripts) {
                script.frame(frame(origin << 32 | number, 60));
            }
        }
        let frames = worker.take(1600)?;
        for index in 0..4 {
            let of_one = frames.iter().filter(|frame| origin(frame) == Some(index));
            let numbers = of_one.map(|frame| traffic::number(frame).map(|number| number & 0xffff_ffff));
            assert!(numbers.eq((0..400).map(Some)), "all of source {index}, in order");
        }
        assert_eq!(worker.stop()?.frames_delivered, 1600);
    }
    Ok(())
}

#[test]
fn who_had_no_frames_saves_nothing_up() -> Tested {
    let ((early, earlies), (late, lates)) = (ScriptedSource::new(), ScriptedSource::new());
    let (mut merged, mut rig) = (merge([early, late]), guest(64)?);
    let (mut next, mut bytes) = ([0; 2], [0; 2]);
    let mut turns = |turns: u64, bytes: &mut [u64], with_late: bool| -> Tested {
        for _ in 0..turns {
            backlog(&earlies, 0, &mut next[0], &[1514], 80);
            if with_late {
                backlog(&lates, 1, &mut next[1], &[1514], 80);
            }
            count(bytes, &rig.turn(&mut merged)?.1)?;
        }
        Ok(())
    };
    turns(200, &mut bytes, false)?;
    assert!(bytes[0] > 100 * QUANTUM && bytes[1] == 0, "{bytes:?}");
    let mut since = [0; 2];
    turns(200, &mut since, true)?;
    assert!(since[0].abs_diff(since[1]) <= QUANTUM + 1514, "{since:?}");
    Ok(())
}
