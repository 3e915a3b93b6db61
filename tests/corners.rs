//! Corners of the contracts between engine, space and source: liars, panics, budgets, and a guest that keeps pace.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use netrx::engine::{Budget, Moderation, Stats, WhenFull};
use netrx::mem::{GuestArray, Translator};
use netrx::ring::{Cursor, RingConfig, SplitRing};
use netrx::space::Tape;
use netrx::{
    DropReason, Engine, EngineConfig, Features, FrameMeta, Gpa, Placed, Progress, Received, RxSpace,
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

fn dropping() -> EngineConfig {
    EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() }
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

/// Buffers of 100 bytes side by side, but for one byte between the third and the fourth.
#[test]
fn neighbours_are_one_buffer_to_the_system() -> Result<()> {
    let features = Features::VERSION_1 | Features::MRG_RXBUF;
    let mut rig = Rig::new(DriverConfig::new(8, features, Shape::single(1024)))?;
    let at = rig.driver.hostile().buffers(0)[0].0;
    for (head, offset) in [(0, 0), (1, 100), (2, 200), (3, 301), (4, 401)] {
        rig.driver.hostile().descriptor(head, Gpa(at.0 + offset), 100, 2, 0).offer(head);
    }
    let mut lens = Vec::new();
    let mut source = from_fn(|space| {
        if let Some(mut lent) = space.lend(488, 1) {
            lens = lent.buffers(0).iter().map(|buffer| buffer.len()).collect();
            assert_eq!((lent.room(0), lent.copy_in(0, &[9; 488])), (488, 488));
            let _ = lent.fill(488, FrameMeta::PLAIN);
        }
        Received::Empty
    });
    let _ = rig.poll(&mut source)?;
    assert_eq!(lens, [288, 200]);
    let mut bytes = [0; 501];
    rig.driver.memory().slice(at, bytes.len())?.copy_to(&mut bytes);
    assert_eq!(bytes[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0], "the header counts five buffers");
    assert!(bytes[12..300] == [9; 288] && bytes[300] != 9 && bytes[301..] == [9; 200]);
    assert_eq!(rig.driver.hostile().used(), [(0, 100), (1, 100), (2, 100), (3, 100), (4, 100)]);
    rig.check()?;
    Ok(())
}

#[test]
fn a_guest_with_a_megabyte_does_not_make_a_tape_hold_more() -> Result<()> {
    let mut rig = Rig::new(DriverConfig::new(64, Features::VERSION_1, Shape::single(16)))?;
    // All of them are the same 256 KiB.
    for head in 0..64 {
        rig.driver.hostile().descriptor(head, Gpa(0x4004_0000), 1 << 18, 2, 0).offer(head);
    }
    let mut held = 0;
    // Reads up to 64 frames of at most 1514 bytes, and finds none.
    let mut source = from_fn(|space| {
        space.taped(&mut Tape::new(), |space| {
            if let Some(lent) = space.lend(1514, 64) {
                let bytes = |index| lent.buffers(index).iter().map(|buffer| buffer.len()).sum::<usize>();
                held = (0..lent.frames()).map(bytes).sum();
            }
        });
        Received::Empty
    });
    let _ = rig.poll(&mut source)?;
    assert!(held > 0 && held <= 1 << 20, "{held} bytes of the host's are set aside for 64 frames of 1514");
    Ok(())
}

#[test]
fn what_is_known_to_be_too_long_for_its_chain_holds_up_no_other() -> Result<()> {
    let mut rig = rig(8, EngineConfig::default())?;
    rig.driver.post(8);
    let mut left = vec![60, 1514];
    // Knows how long its frames are, and asks nobody whether it has to.
    let mut source = from_fn(|space| {
        while let Some(&len) = left.last() {
            let Some(mut lent) = space.lend(1514, 1) else { return Received::More };
            let placed = if len <= lent.room(0) {
                lent.copy_in(0, &vec![7; len]);
                lent.fill(len, FrameMeta::PLAIN)
            } else {
                lent.too_long()
            };
            if placed == Placed::NoRoom {
                return Received::More;
            }
            left.pop();
        }
        Received::Empty
    });
    assert_eq!(rig.poll(&mut source)?, Progress::Idle);
    let stats = rig.check()?;
    assert_eq!((stats.dropped(DropReason::TooLong), stats.frames_delivered), (1, 1), "{stats:?}");
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

#[test]
fn a_loan_that_is_forgotten_withholds_no_frame() -> Result<()> {
    let mut rig = rig(8, EngineConfig::default())?;
    rig.driver.post(8);
    play(&mut rig, |space| {
        if let Some(mut lent) = space.lend(100, 1) {
            lent.copy_in(0, &FRAME);
            let _ = lent.fill(FRAME.len(), FrameMeta::PLAIN);
            std::mem::forget(lent);
        }
        Received::Empty
    })?;
    assert_eq!(rig.driver.drain_frames()?, [FRAME]);
    assert_eq!(rig.irq.raised(), 1);
    Ok(())
}

#[test]
fn a_list_is_no_longer_than_systems_take_it() -> Result<()> {
    // The header has a buffer of its own.
    let shape = Shape::chained(&[[12].as_slice(), &[16; 1200]].concat());
    for extra in [Features::NONE, Features::MRG_RXBUF] {
        let mut rig = Rig::new(DriverConfig::new(4096, Features::VERSION_1 | extra, shape.clone()))?;
        rig.driver.post(3);
        play(&mut rig, |space| {
            let Some(lent) = space.lend(20_000, 1) else { return Received::Closed };
            let lens: Vec<_> = lent.buffers(0).iter().map(|buffer| buffer.len()).collect();
            assert_eq!((lens, lent.room(0)), (vec![16; 1024], 16 * 1024), "{extra:?}");
            assert_eq!(lent.too_long(), Placed::Dropped(DropReason::TooLong), "{extra:?}");
            let Some(mut lent) = space.lend(20_000, 1) else { return Received::Closed };
            assert_eq!(lent.copy_in(0, &[7; 20_000]), 16 * 1024);
            let _ = lent.fill(16 * 1024, FrameMeta::PLAIN);
            Received::Empty
        })?;
        assert_eq!(rig.driver.drain_frames()?, [[7; 16 * 1024]], "{extra:?}");
        rig.check()?;
    }
    Ok(())
}

#[test]
fn no_buffer_that_is_lent_is_empty() -> Result<()> {
    let features = Features::VERSION_1 | Features::MRG_RXBUF;
    let shapes = vec![Shape::single(12), Shape::single(200)];
    let mut rig = Rig::new(DriverConfig { shapes, ..DriverConfig::new(8, features, Shape::single(1)) })?;
    rig.driver.post(8);
    play(&mut rig, |space| {
        let Some(lent) = space.lend(100, 4) else { return Received::Closed };
        for index in 0..lent.frames() {
            assert!(lent.buffers(index).iter().all(|buffer| !buffer.is_empty()), "{index}");
        }
        Received::Empty
    })?;
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
