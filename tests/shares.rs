//! What a source around a source can bound and see: a share of the space, and a tape of what was placed in it, for each way
//! in which the inner source may place its frames.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::time::Instant;

use netrx::engine::{Budget, WhenFull};
use netrx::space::{Limit, Taken, Tape};
use netrx::spec::Checksum;
use netrx::{
    DropReason, EngineConfig, Features, FrameMeta, FrameSource, Gpa, Placed, Progress, Received, RxSpace,
    SourceError,
};
use netrx_mock::{
    DriverConfig, MockMemory, Placing, Rig, RigError, Script, ScriptedSource, Shape, from_fn, traffic,
};
use proptest::prelude::*;

type Tested = Result<(), Box<dyn Error>>;

/// A source within two limits and on two tapes.
struct Watched {
    inner: ScriptedSource,
    outer: Limit,
    limit: Limit,
    taken: Vec<(Taken, Taken)>,
    tapes: [Tape; 2],
}

impl FrameSource for Watched {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let Self { inner, limit, tapes: [outer, tape], .. } = self;
        let ((received, within), around) = space.within(self.outer, |space| {
            space.taped(outer, |space| {
                space.within(*limit, |space| space.taped(tape, |space| inner.recv(space)))
            })
        });
        self.taken.push((within, around));
        received
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.inner.wait(until)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}

fn rig(features: Features, shape: Shape, when_full: WhenFull) -> Result<Rig, RigError> {
    let driver = DriverConfig::new(64, Features::VERSION_1 | features, shape);
    Rig::with(driver, EngineConfig { when_full, ..EngineConfig::default() })
}

fn watched(placing: Placing, outer: Limit, limit: Limit) -> (Watched, Script) {
    let (inner, script) = ScriptedSource::placing(placing);
    (Watched { inner, outer, limit, taken: vec![], tapes: Default::default() }, script)
}

fn frames(lens: &[usize]) -> Vec<Vec<u8>> {
    let frame = |(number, len): (u64, &usize)| traffic::frame(number, *len);
    (0..).zip(lens).map(frame).collect()
}

/// The frames on a tape that were delivered.
fn delivered(tape: &Tape) -> Vec<Vec<u8>> {
    tape.frames().filter(|frame| frame.dropped.is_none()).map(|frame| frame.bytes.to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_share_ends_with_the_frame_that_reaches_its_limit(
        lens in proptest::collection::vec(prop_oneof![Just(60_usize), 14..1500_usize], 1..300),
        placing in 0..3_usize,
        most in 1..100_u64,
        bytes in 1..200_000_u64,
        outer in 1..100_u64,
        merged: bool,
    ) {
        let outer = Limit { frames: outer, bytes: u64::MAX };
        let (mut source, script) = watched(Placing::EACH[placing], outer, Limit { frames: most, bytes });
        let sent = frames(&lens);
        sent.iter().for_each(|frame| script.frame(frame.as_slice()));
        let (features, shape) =
            if merged { (Features::MRG_RXBUF, Shape::single(500)) } else { (Features::NONE, Shape::single(2048)) };
        let mut rig = rig(features, shape, WhenFull::Wait)?;
        let got = rig.drain(&mut source)?;
        prop_assert!(got == sent);
        prop_assert!(source.tapes.iter().all(|tape| delivered(tape) == sent));
        let most = most.min(outer.frames);
        let mut lens = lens.iter().map(|len| *len as u64);
        for (taken, around) in &source.taken {
            let here: Vec<u64> = lens.by_ref().take(taken.delivered as usize).collect();
            let sum = here.iter().sum::<u64>();
            prop_assert_eq!((taken.bytes, taken.dropped), (sum, 0));
            prop_assert_eq!((taken.bytes, taken.delivered), (around.bytes, around.delivered));
            prop_assert!(taken.delivered <= most);
            prop_assert!(here.last().is_none_or(|last| sum - last < bytes), "{} and over {}", sum, bytes);
        }
        prop_assert_eq!(lens.next(), None);
    }
}

#[test]
fn what_was_taken_says_whether_there_is_room_for_another() -> Tested {
    for placing in Placing::EACH {
        let (mut source, script) = watched(placing, Limit::NONE, Limit { frames: 3, bytes: u64::MAX });
        frames(&[60; 8]).into_iter().for_each(|frame| script.frame(frame));
        let mut rig = rig(Features::NONE, Shape::single(2048), WhenFull::Wait)?;
        rig.driver.post(5);
        assert_eq!(rig.poll(&mut source)?, Progress::Starved);
        let seen: Vec<_> = source.taken.iter().map(|(taken, _)| (taken.delivered, taken.room)).collect();
        // A reader comes again to find out that its last buffer was the last.
        let expected = if let Placing::Read { .. } = placing {
            vec![(3, true), (2, true), (0, false)]
        } else {
            vec![(3, true), (2, false)]
        };
        assert_eq!(seen, expected, "{placing:?}");
    }
    Ok(())
}

/// Takes a turn of so many bytes with a source that does so; how many frames it delivered.
fn turn_of(bytes: u64, play: impl FnMut(&mut RxSpace<'_>) -> Received + Send) -> Result<u64, RigError> {
    let driver = DriverConfig::new(64, Features::VERSION_1, Shape::single(2048));
    let budget = Budget { bytes, ..Budget::default() };
    let mut rig = Rig::with(driver, EngineConfig { budget, ..EngineConfig::default() })?;
    rig.driver.post(64);
    let _ = rig.poll(&mut from_fn(play))?;
    Ok(rig.check()?.frames_delivered)
}

#[test]
fn a_share_leaves_no_more_than_the_turn_has() -> Tested {
    let delivered = turn_of(100, |space| {
        let put = |space: &mut RxSpace<'_>| space.put_burst([&[7; 60]; 2]);
        let (placed, taken) = space.within(Limit::NONE, put);
        assert_eq!((placed, taken.room), (2, false));
        assert_eq!(space.put(&[7; 60], FrameMeta::PLAIN), Placed::NoRoom, "the turn's bytes are spent");
        Received::More
    })?;
    assert_eq!(delivered, 2);
    Ok(())
}

#[test]
fn a_share_of_which_nothing_is_taken_leaves_the_one_frame_of_a_turn_without_bytes() -> Tested {
    let delivered = turn_of(0, |space| {
        let ((), taken) = space.within(Limit::NONE, |_| ());
        assert!(taken.room);
        let _ = space.put(&[7; 60], FrameMeta::PLAIN);
        Received::More
    })?;
    assert_eq!(delivered, 1);
    Ok(())
}

#[test]
fn a_share_has_no_more_bytes_than_the_one_around_it() -> Tested {
    let bytes = |bytes| Limit { bytes, ..Limit::NONE };
    let delivered = turn_of(1 << 20, |space| {
        let put = |space: &mut RxSpace<'_>| space.put_burst([&[7; 60]; 5]);
        let ((placed, _), _) = space.within(bytes(100), |space| space.within(bytes(1000), put));
        assert_eq!(placed, 2);
        Received::Empty
    })?;
    assert_eq!(delivered, 2);
    Ok(())
}

#[test]
fn a_tape_has_each_frame_and_what_became_of_it() -> Tested {
    let offload = FrameMeta { checksum: Checksum::Partial { start: 34, offset: 16 }, segmentation: None };
    let sent = frames(&[60, 1000, 10, 100, 200]);
    for placing in Placing::EACH {
        let (mut source, script) = watched(placing, Limit::NONE, Limit::NONE);
        for (number, frame) in sent.iter().enumerate() {
            script.frame_with(frame.as_slice(), if number == 3 { offload } else { FrameMeta::PLAIN });
        }
        let mut rig = rig(Features::NONE, Shape::single(256), WhenFull::Wait)?;
        let got = rig.drain(&mut source)?;
        assert_eq!(got, [sent[0].as_slice(), sent[4].as_slice()]);
        // What was read is cut to the 244 bytes behind the header.
        let long =
            if let Placing::Read { .. } = placing { (&sent[1][..244], 245) } else { (&sent[1][..], 1000) };
        let expected = [
            (&sent[0][..], 60, None),
            (long.0, long.1, Some(DropReason::TooLong)),
            (&sent[2][..], 10, Some(DropReason::Runt)),
            (&sent[3][..], 100, Some(DropReason::Offload)),
            (&sent[4][..], 200, None),
        ];
        for tape in &source.tapes {
            let seen: Vec<_> = tape.frames().map(|frame| (frame.bytes, frame.len, frame.dropped)).collect();
            assert_eq!(seen, expected, "{placing:?}");
        }
        let total = |part: fn(&Taken) -> u64| source.taken.iter().map(|(taken, _)| part(taken)).sum::<u64>();
        assert_eq!((total(|taken| taken.delivered), total(|taken| taken.dropped)), (2, 3));
        assert_eq!(total(|taken| taken.bytes), 260);
    }
    Ok(())
}

#[test]
fn frames_discarded_for_want_of_room_are_on_the_tape() -> Tested {
    let sent = frames(&[60, 61, 62]);
    for placing in Placing::EACH {
        let (mut source, script) = watched(placing, Limit::NONE, Limit::NONE);
        sent.iter().for_each(|frame| script.frame(frame.as_slice()));
        let mut rig = rig(Features::NONE, Shape::single(256), WhenFull::DropNewest)?;
        rig.driver.post(1);
        assert_eq!(rig.poll(&mut source)?, Progress::Idle);
        let tape = &source.tapes[0];
        let fates: Vec<_> = tape.frames().map(|frame| (frame.len, frame.dropped)).collect();
        assert_eq!(fates, [(60, None), (61, Some(DropReason::RingFull)), (62, Some(DropReason::RingFull))]);
        let known: Vec<_> = tape.frames().map(|frame| frame.bytes).collect();
        assert_eq!(known, sent, "{placing:?}");
    }
    Ok(())
}

/// Reads frames into lent buffers, of which the guest then changes every byte, before they are reported.
fn read_in_a_race(space: &mut RxSpace<'_>, frames: &[Vec<u8>], memory: &MockMemory, buffers: &[(Gpa, u32)]) {
    let Some(mut lent) = space.lend(1514, frames.len()) else { return };
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(lent.copy_in(index, frame), frame.len());
    }
    for (at, len) in buffers {
        let garbage = vec![0xee; *len as usize];
        assert!(memory.slice(*at, garbage.len()).is_ok_and(|slice| slice.copy_from(&garbage) > 0));
    }
    for frame in frames {
        assert_eq!(lent.fill(frame.len(), FrameMeta::PLAIN), Placed::Delivered);
    }
}

#[test]
fn a_guest_cannot_change_what_is_on_the_tape() -> Tested {
    let chained = (Features::NONE, Shape::chained(&[100, 1500]), &[1000, 60][..]);
    // Of buffers that are merged, as many are lent as one frame may need.
    let merged = (Features::MRG_RXBUF, Shape::single(256), &[1000][..]);
    for (features, shape, lens) in [chained, merged] {
        let mut rig = rig(features, shape, WhenFull::Wait)?;
        let chains = rig.driver.chains();
        let buffers: Vec<_> =
            (0..chains).flat_map(|chain| rig.driver.hostile().buffers(chain).to_vec()).collect();
        let (sent, memory, mut tape) = (frames(lens), rig.driver.memory().clone(), Tape::new());
        let mut source = from_fn(|space| {
            space.taped(&mut tape, |space| read_in_a_race(space, &sent, &memory, &buffers));
            Received::Closed
        });
        assert_eq!(rig.turn(&mut source)?.1, sent, "what is on the tape is what the guest got");
        assert_eq!(delivered(&tape), sent);
    }
    Ok(())
}

/// Lets one source panic within a limit and on a tape, then takes a frame of its own.
struct Catching {
    inner: ScriptedSource,
    own: Vec<Vec<u8>>,
    tape: Tape,
}

impl FrameSource for Catching {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let Self { inner, own, tape } = self;
        let limit = Limit { frames: 2, bytes: 1 << 20 };
        // A reader places its batch first, and panics at the next call.
        while catch_unwind(AssertUnwindSafe(|| {
            space.within(limit, |space| space.taped(tape, |space| inner.recv(space)))
        }))
        .is_ok()
        {
            tape.clear();
        }
        assert_eq!(space.put_burst(&*own), own.len());
        Ok(Received::Closed)
    }

    fn wait(&mut self, _: Option<Instant>) -> Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }
}

#[test]
fn a_panic_ends_a_share_and_a_tape_and_loses_no_frame() -> Tested {
    for placing in Placing::EACH {
        let (inner, script) = ScriptedSource::placing(placing);
        let sent = frames(&[60; 40]);
        script.frame(sent[0].as_slice());
        script.panic();
        let mut source = Catching { inner, own: sent[1..].to_vec(), tape: Tape::new() };
        let mut rig = rig(Features::NONE, Shape::single(2048), WhenFull::Wait)?;
        rig.driver.post(64);
        assert_eq!(rig.poll(&mut source)?, Progress::Closed);
        assert!(rig.driver.drain_frames()? == sent, "{placing:?}");
        assert!(source.tape.is_empty() && rig.stats().is_balanced());
    }
    Ok(())
}
