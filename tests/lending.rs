//! What is lent to sources that read their frames: which buffers, for how many frames, and of what length.

use anyhow::Result;
use netrx::space::Tape;
use netrx::{DropReason, Features, FrameMeta, Gpa, Placed, Progress, Received, RxSpace};
use netrx_mock::{DriverConfig, Rig, Shape, from_fn};

const FRAME: [u8; 60] = [7; 60];

fn merged() -> Features {
    Features::VERSION_1 | Features::MRG_RXBUF
}

/// A guest with buffers of 200 bytes, which are not merged.
fn plain_rig() -> Result<Rig> {
    Ok(Rig::new(DriverConfig::new(8, Features::VERSION_1, Shape::single(200)))?)
}

/// Takes a turn with a source that does so.
fn play(rig: &mut Rig, play: impl FnMut(&mut RxSpace<'_>) -> Received + Send) -> Result<()> {
    let _ = rig.poll(&mut from_fn(play))?;
    Ok(())
}

/// Frames of 64,000 bytes take sixteen pages each, though four of them have no more bytes than 63 pages.
#[test]
fn each_frame_has_chains_enough_of_its_own() -> Result<()> {
    let mut rig = Rig::new(DriverConfig::new(256, merged(), Shape::single(4096)))?;
    rig.driver.post(256);
    let mut rooms = Vec::new();
    play(&mut rig, |space| {
        if let Some(lent) = space.lend(64_000, 4) {
            rooms = (0..lent.frames()).map(|index| lent.room(index)).collect();
        }
        Received::Empty
    })?;
    assert_eq!(rooms, [16 * 4096 - 12; 4]);
    Ok(())
}

/// Buffers of 100 bytes side by side, but for one byte between the third and the fourth.
#[test]
fn neighbours_are_one_buffer_to_the_system() -> Result<()> {
    let mut rig = Rig::new(DriverConfig::new(8, merged(), Shape::single(1024)))?;
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
    let mut rig = plain_rig()?;
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
fn a_loan_that_is_forgotten_withholds_no_frame() -> Result<()> {
    let mut rig = plain_rig()?;
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

/// A source that reads whatever it is lent: 60 bytes, with a header, while the guest posts a ring of two pieces. A frame that
/// may still fit waits; one that never will is cut, and is too long.
#[test]
fn a_frame_is_read_once_the_guest_has_room_for_the_largest() -> Result<()> {
    for (second, dropped) in [(60, 0), (59, 1)] {
        let mut rig = Rig::new(DriverConfig::new(2, merged(), Shape::single(100)))?;
        let at = rig.driver.hostile().buffers(0)[0].0;
        let mut left = 1;
        let mut source = from_fn(|space| {
            while left > 0 {
                let Some(mut lent) = space.lend(60, 1) else { return Received::More };
                left -= 1;
                let whole = lent.copy_in(0, &FRAME) == FRAME.len();
                let _ = if whole { lent.fill(FRAME.len(), FrameMeta::PLAIN) } else { lent.cut() };
            }
            Received::Empty
        });
        for (head, len) in [(0, 12), (1, second)] {
            assert_eq!(rig.poll(&mut source)?, Progress::Starved);
            rig.driver.hostile().descriptor(head, at, len, 2, 0).offer(head);
        }
        assert_eq!(rig.poll(&mut source)?, Progress::Idle);
        let stats = rig.check()?;
        let found = (stats.dropped(DropReason::TooLong), stats.frames_delivered);
        assert_eq!(found, (dropped, 1 - dropped), "{second}");
    }
    Ok(())
}

/// A list without buffers would read as the end of a stream.
#[test]
fn a_ring_that_holds_but_a_header_lends_nothing() -> Result<()> {
    let mut rig = Rig::new(DriverConfig::new(1, merged(), Shape::single(12)))?;
    rig.driver.post(1);
    play(&mut rig, |space| {
        assert!(space.lend(60, 1).is_none());
        assert!(space.lend_any(60, 1).is_some_and(|lent| lent.room(0) == 0 && lent.must_peek()));
        Received::Empty
    })
}

#[test]
fn no_buffer_that_is_lent_is_empty() -> Result<()> {
    let shapes = vec![Shape::single(12), Shape::single(200)];
    let mut rig = Rig::new(DriverConfig { shapes, ..DriverConfig::new(8, merged(), Shape::single(1)) })?;
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
