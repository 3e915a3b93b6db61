//! Corners of the contracts between engine, space and source: liars, panics, budgets, and a guest that keeps pace.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use netrx::engine::{Budget, Moderation, Stats, WhenFull};
use netrx::mem::{GuestArray, Translator};
use netrx::ring::{Cursor, RingConfig, RingError, SplitRing};
use netrx::space::{Limit, Tape};
use netrx::{
    DropReason, Engine, EngineConfig, EngineError, Features, FrameMeta, Placed, Progress, Received, RxSpace,
};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Rig, Shape, from_fn};

const FRAME: [u8; 60] = [7; 60];

fn rig(size: u16, config: EngineConfig) -> Result<Rig> {
    let driver = DriverConfig::new(size, Features::VERSION_1, Shape::single(200));
    Ok(Rig::on(&MockMemory::heap(&[16 << 20]), driver, config)?)
}

/// Takes a turn with a source that does so.
fn play(rig: &mut Rig, play: impl FnMut(&mut RxSpace<'_>) -> Received + Send) -> Result<Stats> {
    let _ = rig.poll(&mut from_fn(play))?;
    Ok(rig.stats())
}

#[test]
fn frames_before_an_iterator_panics_are_delivered() -> Result<()> {
    let mut rig = rig(8, EngineConfig::default())?;
    rig.driver.post(8);
    let bomb = catch_unwind(AssertUnwindSafe(|| {
        play(&mut rig, |space| {
            let frames = (0..8).inspect(|at| assert_ne!(*at, 2, "a bomb")).map(|_| &FRAME);
            let _ = space.put_burst(frames);
            Received::Empty
        })
    }));
    assert!(bomb.is_err());
    let stats = play(&mut rig, |space| {
        assert_eq!(space.put_burst([&FRAME; 8]), 6, "two of the buffers are used");
        Received::Empty
    })?;
    assert_eq!((stats.chains_bad, stats.frames_delivered, stats.bytes_delivered), (0, 8, 480), "{stats:?}");
    Ok(())
}

/// Yields so many frames, and says of them what it likes.
struct Liar(usize, (usize, Option<usize>));

impl Iterator for Liar {
    type Item = &'static [u8; 60];

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        Some(&FRAME)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn an_iterator_that_lies_about_its_length_loses_nothing() -> Result<()> {
    for hint in [(0, None), (0, Some(0)), (usize::MAX, Some(usize::MAX)), (3, Some(2))] {
        let mut rig = rig(16, EngineConfig::default())?;
        rig.driver.post(16);
        let stats = play(&mut rig, |space| {
            assert_eq!(space.put_burst(Liar(5, hint)), 5);
            assert_eq!(space.put_burst(Liar(11, hint)), 11);
            Received::Empty
        })?;
        assert_eq!((stats.chains_bad, stats.frames_delivered), (0, 16), "{hint:?} {stats:?}");
    }
    Ok(())
}

#[test]
fn an_iterator_is_not_asked_again_after_its_end() -> Result<()> {
    let mut rig = rig(64, EngineConfig::default())?;
    rig.driver.post(64);
    play(&mut rig, |space| {
        let mut calls = 0;
        let frames = std::iter::from_fn(|| {
            calls += 1;
            assert!(calls <= 4, "asked again after its end");
            (calls < 4).then_some(&FRAME)
        });
        assert_eq!(space.put_burst(frames), 3);
        Received::Empty
    })?;
    Ok(())
}

#[test]
fn a_guest_that_keeps_pace_cannot_have_more_than_a_ring_staged() -> Result<()> {
    let size = 32768_u16;
    let mut rig = rig(size, EngineConfig::default())?;
    let (memory, ring) = (rig.driver.memory().clone(), rig.driver.ring_config());
    let mut round = 0_u16;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        play(&mut rig, |space| {
            for _ in 0..4 {
                // A whole ring of heads outside of the table, but for the last, made available while none has come back.
                let mut translator = Translator::new(&memory);
                let Ok(avail) = GuestArray::<u16>::new(&mut translator, ring.avail, 2 + usize::from(size))
                else {
                    return Received::Closed;
                };
                (0..usize::from(size)).for_each(|slot| avail.store(2 + slot, u16::MAX, Ordering::SeqCst));
                avail.store(1 + usize::from(size), round, Ordering::SeqCst);
                round += 1;
                avail.store(1, round.wrapping_mul(size), Ordering::SeqCst);
                if space.put(&FRAME, FrameMeta::PLAIN) == Placed::NoRoom {
                    return Received::More;
                }
            }
            Received::Empty
        })
    }));
    let stats = rig.stats();
    assert!(matches!(outcome, Ok(Err(_))), "the ring is broken: {outcome:?} {stats:?}");
    assert!(stats.chains_bad <= u64::from(size) && stats.chains_used <= 1, "{stats:?}");
    Ok(())
}

/// Once read, the index turns to nonsense. Nobody finds that out before the chains of then are used.
#[test]
fn the_available_index_is_read_once_for_a_batch() -> Result<()> {
    let put = |space: &mut RxSpace<'_>| space.put(&FRAME, FrameMeta::PLAIN);
    let burst = |space: &mut RxSpace<'_>| match space.put_burst([&FRAME]) {
        0 => Placed::NoRoom,
        _ => Placed::Delivered,
    };
    let lend = |space: &mut RxSpace<'_>| {
        space.lend(100, 1).map_or(Placed::NoRoom, |mut lent| lent.fill(FRAME.len(), FrameMeta::PLAIN))
    };
    for place in [put, burst, lend] {
        let mut rig = rig(8, EngineConfig::default())?;
        rig.driver.post(4);
        let Rig { driver, engine, .. } = &mut rig;
        let mut placed = 0;
        let mut source = from_fn(|space| {
            while place(space) == Placed::Delivered {
                placed += 1;
                driver.hostile().avail_index(999);
            }
            Received::More
        });
        let outcome = engine.poll(&mut source, Instant::now());
        let jump = matches!(outcome, Err(EngineError::Ring(RingError::IndexJump { index: 999, .. })));
        assert!(jump && placed == 4, "{placed} frames, then {outcome:?}");
    }
    Ok(())
}

/// Each chain is a head of its own and the same 511 descriptors; a turn looks at 65536.
#[test]
fn a_turn_looks_at_no_more_descriptors_than_it_may() -> Result<()> {
    let size = 1024;
    let budget = Budget { frames: u32::MAX, bytes: u64::MAX };
    let mut rig =
        rig(size, EngineConfig { budget, moderation: Moderation::NONE, ..EngineConfig::default() })?;
    let at = rig.driver.hostile().buffers(0)[0].0;
    for index in 512..size {
        let (flags, next) = if index == size - 1 { (2, 0) } else { (3, index + 1) };
        rig.driver.hostile().descriptor(index, at, 1, flags, next);
    }
    for head in 0..512 {
        rig.driver.hostile().descriptor(head, at, 1, 3, 513).offer(head);
    }
    let mut left = 512;
    let mut source = from_fn(|space| {
        while left > 0 {
            if space.put(&FRAME, FrameMeta::PLAIN) == Placed::NoRoom {
                return Received::More;
            }
            left -= 1;
        }
        Received::Empty
    });
    let turns: Vec<_> = (0..4)
        .map(|_| {
            rig.engine
                .poll(&mut source, Instant::now())
                .map(|progress| (progress, rig.stats().frames_delivered))
        })
        .collect::<Result<_, _>>()?;
    let more = |frames| (Progress::More, frames);
    assert_eq!(turns, [more(128), more(256), more(384), (Progress::Idle, 512)]);
    Ok(())
}

#[test]
fn a_budget_of_no_bytes_lets_one_frame_pass() -> Result<()> {
    for lends in [false, true] {
        let budget = Budget { frames: 1, bytes: 0 };
        let mut rig = rig(8, EngineConfig { budget, ..EngineConfig::default() })?;
        rig.driver.post(8);
        let stats = play(&mut rig, |space| {
            if lends && let Some(mut lent) = space.lend(100, 1) {
                lent.copy_in(0, &FRAME);
                let _ = lent.fill(FRAME.len(), FrameMeta::PLAIN);
            } else if !lends {
                let _ = space.put(&FRAME, FrameMeta::PLAIN);
            }
            Received::More
        })?;
        assert_eq!(stats.frames_delivered, 1, "lends: {lends}");
    }
    Ok(())
}

#[test]
fn without_a_budget_a_guest_without_room_is_asked_for_a_kick() -> Result<()> {
    for budget in [Budget { frames: 0, bytes: u64::MAX }, Budget { frames: 1, bytes: 0 }] {
        let mut rig = rig(8, EngineConfig { budget, ..EngineConfig::default() })?;
        let mut source = from_fn(|space| {
            let _ = space.put(&FRAME, FrameMeta::PLAIN);
            Received::More
        });
        assert_eq!(rig.poll(&mut source)?, Progress::Starved, "{budget:?}");
    }
    Ok(())
}

fn dropping() -> EngineConfig {
    EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() }
}

/// One source keeps its frames, the other's are dropped; neither is in the other's way.
#[test]
fn what_is_to_be_kept_waits_where_others_are_dropped() -> Result<()> {
    let mut rig = rig(8, dropping())?;
    rig.driver.post(2);
    let (mut kept, mut droppable) = (vec![[1; 60]; 4], vec![[2; 60]; 4]);
    let mut source = from_fn(|space| {
        let (_, taken) = space.within(Limit::NONE, |space| {
            let _ = space.keeping(|space| place_all(space, &mut kept));
        });
        if !taken.room || place_all(space, &mut droppable) == Placed::NoRoom || !kept.is_empty() {
            return Received::More;
        }
        Received::Empty
    });
    assert_eq!(rig.poll(&mut source)?, Progress::Starved);
    assert_eq!(rig.driver.drain_frames()?, [[1; 60]; 2]);
    rig.driver.post(8);
    assert_eq!(rig.poll(&mut source)?, Progress::Idle);
    assert_eq!(rig.driver.drain_frames()?, [[1; 60]; 2]);
    let stats = rig.check()?;
    assert_eq!((stats.dropped(DropReason::RingFull), stats.frames_delivered), (4, 4), "{stats:?}");
    Ok(())
}

/// Places frames up to the one that has no room; what became of the last that was offered.
fn place_all(space: &mut RxSpace<'_>, frames: &mut Vec<[u8; 60]>) -> Placed {
    let mut placed = Placed::Delivered;
    while let Some(frame) = frames.last()
        && placed != Placed::NoRoom
    {
        placed = space.put(frame, FrameMeta::PLAIN);
        if placed != Placed::NoRoom {
            frames.pop();
        }
    }
    placed
}

#[test]
fn a_frame_too_long_while_discarding_is_dropped() -> Result<()> {
    let mut rig = rig(8, dropping())?;
    let mut calls = 0;
    let stats = play(&mut rig, |space| {
        calls += 1;
        assert!(calls < 10_000, "the turn never ends");
        if let Some(lent) = space.lend(100, 1) {
            let _ = lent.too_long();
        }
        Received::More
    })?;
    assert!(stats.dropped(DropReason::RingFull) > 0 && stats.is_balanced());
    Ok(())
}

#[test]
fn nothing_is_discarded_once_the_guest_has_posted_more() -> Result<()> {
    let mut rig = rig(256, dropping())?;
    rig.driver.post(1);
    let mut left = 200;
    let Rig { driver, engine, .. } = &mut rig;
    let source = |space: &mut RxSpace<'_>| {
        while left > 0 {
            if space.put(&FRAME, FrameMeta::PLAIN) == Placed::NoRoom {
                // The guest posts just before the next look.
                driver.post(255);
                return Received::More;
            }
            left -= 1;
        }
        Received::Empty
    };
    let _ = engine.poll(&mut from_fn(source), Instant::now())?;
    let stats = rig.stats();
    assert_eq!((stats.frames_dropped(), stats.frames_delivered), (0, 200));
    Ok(())
}

#[test]
fn no_frame_is_too_long_to_be_discarded() -> Result<()> {
    for taped in [false, true] {
        let budget = Budget { frames: u32::MAX, bytes: u64::MAX };
        let mut rig = rig(8, EngineConfig { budget, moderation: Moderation::NONE, ..dropping() })?;
        let mut left = 3;
        let mut read = |space: &mut RxSpace<'_>| {
            if let Some(mut lent) = space.lend(usize::MAX, usize::MAX) {
                lent.copy_in(0, &FRAME);
                let _ = lent.cut();
                left -= 1;
            }
            if left == 0 { Received::Empty } else { Received::More }
        };
        let stats = play(&mut rig, |space| match taped {
            true => space.taped(&mut Tape::new(), &mut read),
            false => read(space),
        })?;
        assert_eq!(stats.dropped(DropReason::RingFull), 3, "taped: {taped}");
    }
    Ok(())
}

/// Three chains were popped by another device, which never used them.
#[test]
fn a_ring_may_start_behind_chains_that_are_held() -> Result<()> {
    for bursts in [false, true] {
        let memory = MockMemory::heap(&[1 << 16]);
        let config = DriverConfig::new(8, Features::VERSION_1, Shape::single(200));
        let mut driver = FakeDriver::new(&memory, DriverConfig { start: 6, ..config })?;
        driver.post(8);
        let start = Cursor { next_avail: 9, next_used: 6 };
        let ring =
            SplitRing::new(RingConfig { start, ..driver.ring_config() }, Features::VERSION_1, &memory)?;
        let mut engine = Engine::new(ring, memory, MockIrq::new().0, EngineConfig::default());
        let mut source = from_fn(|space| {
            let mut put = || space.put(&FRAME, FrameMeta::PLAIN) != Placed::NoRoom;
            let placed = if bursts { space.put_burst([&FRAME; 6]) } else { (0..6).filter(|_| put()).count() };
            assert_eq!(placed, 5, "bursts: {bursts}");
            Received::More
        });
        assert_eq!(engine.poll(&mut source, Instant::now())?, Progress::Starved);
        assert_eq!(driver.drain_frames()?, [FRAME; 5], "bursts: {bursts}");
    }
    Ok(())
}
