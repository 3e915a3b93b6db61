//! The reader of a transmit queue: what it gives, what it refuses, and when it asks to be kicked.

use std::error::Error;

use netrx::ring::{RingConfig, RingError, TxReader, TxStats};
use netrx::spec::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use netrx::{Features, Gpa};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Shape, traffic};
use netrx_oracle::Image;

use super::Tested;

const HEADER: u32 = 12;
/// Where frames lie, well behind the ring.
const DATA: Gpa = Gpa(0x4004_0000);
const TABLE: Gpa = Gpa(0x4003_0000);
const SIZE: u16 = 8;

struct Tx {
    memory: MockMemory,
    driver: FakeDriver,
    reader: TxReader<MockMemory>,
}

/// What a pass over the queue came to.
#[derive(Debug, Default, PartialEq)]
struct Pass {
    frames: Vec<Vec<u8>>,
    /// Used entries: id and length.
    used: Vec<(u32, u32)>,
    interrupt: bool,
}

impl Tx {
    fn new(features: Features) -> Result<Self, Box<dyn Error>> {
        let memory = MockMemory::heap(&[1 << 20]);
        let config = DriverConfig::new(SIZE, features, Shape::single(16));
        let driver = FakeDriver::new(&memory, config)?;
        let reader = TxReader::new(driver.ring_config(), features, memory.clone())?;
        Ok(Self { memory, driver, reader })
    }

    /// Puts a header and frame `number` of `len` bytes at `at`.
    fn place(&self, at: Gpa, number: u64, len: usize) -> Tested {
        let frame = traffic::frame(number, len);
        let room = self.memory.slice(at, HEADER as usize + len)?;
        room.copy_from(&[0; HEADER as usize]);
        room.skip(HEADER as usize).copy_from(&frame);
        Ok(())
    }

    /// Makes frame `number` available as one buffer, and its head as well.
    fn send(&mut self, head: u16, number: u64, len: usize) -> Tested {
        let at = Gpa(DATA.0 + u64::from(head) * 0x1000);
        self.place(at, number, len)?;
        self.driver.hostile().descriptor(head, at, HEADER + len as u32, 0, 0).offer(head);
        Ok(())
    }

    /// Makes one descriptor available.
    fn offer(&mut self, at: Gpa, len: u32, flags: u16, next: u16) {
        self.driver.hostile().descriptor(0, at, len, flags, next).offer(0);
    }

    /// Reads and completes all there is, until the driver is asked for a kick.
    fn pass(&mut self) -> Result<Pass, RingError> {
        let mut pass = Pass::default();
        let mut turn = self.reader.turn()?;
        loop {
            while let Some(frame) = turn.frame()? {
                let mut bytes = vec![0xee; frame.len() + 1];
                assert_eq!(frame.copy_to(&mut bytes), frame.len());
                assert_eq!(bytes.pop(), Some(0xee), "no more than its length");
                let listed: usize = frame.buffers().iter().map(|buffer| buffer.len()).sum();
                assert_eq!((listed, frame.header()), (frame.len(), [0; HEADER as usize].as_slice()));
                pass.frames.push(bytes);
                frame.complete();
            }
            pass.interrupt |= turn.publish();
            if !turn.arm() {
                break;
            }
        }
        pass.used = self.driver.hostile().used();
        Ok(pass)
    }

    /// The numbers of the frames of a pass, all of them whole.
    fn numbers(&mut self) -> Result<Vec<u64>, Box<dyn Error>> {
        let frames = self.pass()?.frames;
        frames.iter().map(|frame| traffic::number(frame).ok_or("a frame is not whole".into())).collect()
    }
}

#[test]
fn frames_come_in_order_and_are_completed() -> Tested {
    for features in [Features::VERSION_1, Features::VERSION_1 | Features::EVENT_IDX] {
        let mut tx = Tx::new(features)?;
        for round in 0..24_000_u64 {
            let heads = [3, 0, 6].map(|head| (head + round as u16) % SIZE);
            for (head, number) in heads.into_iter().zip(3 * round..) {
                tx.send(head, number, 60)?;
            }
            let image = Image::of(&tx.memory);
            let pass = tx.pass()?;
            let numbers = pass.frames.iter().map(|frame| traffic::number(frame));
            assert!(numbers.eq((3 * round..).map(Some).take(3)), "round {round}");
            assert_eq!(pass.used, heads.map(|head| (u32::from(head), 0)));
            if round % 1000 == 0 {
                let changed = image.first_difference(&tx.memory);
                let used = tx.driver.ring_config().used.0;
                assert!(changed.is_some_and(|at| (used..used + 6 + 8 * 8).contains(&at.0)), "{changed:?}");
            }
        }
        let stats = tx.reader.stats();
        assert_eq!(stats, TxStats { frames: 72_000, bytes: 4_320_000, chains_bad: 0 });
        assert_eq!(tx.reader.cursor().next_used, 72_000_u32 as u16);
    }
    Ok(())
}

/// A header on its own, a frame in pieces, an indirect table, and a frame as long as there are.
#[test]
fn chains_of_every_kind() -> Tested {
    let mut tx = Tx::new(Features::VERSION_1 | Features::INDIRECT_DESC)?;
    let pieces = [1, 10, 1, 13, 1, 500];
    tx.place(DATA, 1, 514)?;
    let mut at = DATA.0;
    for (index, len) in (0_u16..).zip(pieces) {
        let flags = if index == 5 { 0 } else { DESC_NEXT };
        tx.driver.hostile().descriptor(index, Gpa(at), len, flags, index + 1);
        at += u64::from(len);
    }
    tx.driver.hostile().offer(0);
    assert_eq!(tx.numbers()?, [1]);

    tx.place(DATA, 2, 1514)?;
    let mut hostile = tx.driver.hostile();
    hostile.entry(TABLE, 0, DATA, HEADER, DESC_NEXT, 1);
    hostile.entry(TABLE, 1, Gpa(DATA.0 + u64::from(HEADER)), 1514, 0, 0);
    hostile.descriptor(4, TABLE, 32, DESC_INDIRECT, 0).offer(4);
    assert_eq!(tx.numbers()?, [2]);

    let longest = (1 << 17) - HEADER;
    tx.place(DATA, 3, longest as usize)?;
    tx.driver.hostile().descriptor(1, DATA, 1 << 17, 0, 0).offer(1);
    assert_eq!(tx.numbers()?, [3]);

    tx.driver.hostile().descriptor(2, DATA, HEADER, 0, 0).offer(2);
    let pass = tx.pass()?;
    assert_eq!((pass.frames, pass.used), (vec![Vec::new()], vec![(2, 0)]), "nothing behind its header");
    assert_eq!(tx.reader.stats().chains_bad, 0);
    Ok(())
}

/// What a guest gets wrong is completed unread, and the frame behind it comes.
#[test]
fn bad_chains_do_not_stop_the_queue() -> Tested {
    type Wrong = fn(&mut Tx);
    let rows: [(&str, Wrong); 13] = [
        ("a buffer to write", |tx| tx.offer(DATA, 100, DESC_WRITE, 0)),
        ("a buffer to write, in a chain", |tx| {
            let mut hostile = tx.driver.hostile();
            hostile.descriptor(0, DATA, 100, DESC_NEXT, 1);
            hostile.descriptor(1, DATA, 100, DESC_WRITE, 0).offer(0);
        }),
        ("a circle", |tx| {
            let mut hostile = tx.driver.hostile();
            hostile.descriptor(0, DATA, 100, DESC_NEXT, 1);
            hostile.descriptor(1, DATA, 100, DESC_NEXT, 0).offer(0);
        }),
        ("a successor outside", |tx| tx.offer(DATA, 100, DESC_NEXT, 8)),
        ("a head outside", |tx| {
            tx.driver.hostile().offer(SIZE);
        }),
        ("an address outside", |tx| tx.offer(Gpa(0), 100, 0, 0)),
        ("over the end of memory", |tx| {
            tx.offer(Gpa(0x400f_fff0), 100, 0, 0);
        }),
        ("over the end of all", |tx| {
            tx.offer(Gpa(u64::MAX - 9), 100, 0, 0);
        }),
        ("shorter than a header", |tx| {
            tx.offer(DATA, HEADER - 1, 0, 0);
        }),
        ("longer than any frame", |tx| {
            tx.offer(DATA, (1 << 17) + 1, 0, 0);
        }),
        ("longer than anything", |tx| {
            let mut hostile = tx.driver.hostile();
            hostile.descriptor(0, DATA, 700_000, DESC_NEXT, 1);
            hostile.descriptor(1, DATA, 700_000, 0, 0).offer(0);
        }),
        ("an indirect table without the feature", |tx| {
            let mut hostile = tx.driver.hostile();
            hostile.entry(TABLE, 0, DATA, 100, 0, 0);
            hostile.descriptor(0, TABLE, 16, DESC_INDIRECT, 0).offer(0);
        }),
        ("a head that is in flight", |tx| {
            tx.driver.hostile().offer(7);
        }),
    ];
    for (name, wrong) in rows {
        let mut tx = Tx::new(Features::VERSION_1)?;
        tx.send(7, 70, 60)?;
        wrong(&mut tx);
        tx.send(5, 50, 60)?;
        assert_eq!(tx.numbers()?, [70, 50], "{name}");
        assert_eq!(tx.reader.stats().chains_bad, 1, "{name}");
        tx.send(0, 1, 60)?;
        assert_eq!(tx.numbers()?, [1], "{name}: and it goes on");
    }
    Ok(())
}

/// A frame that was looked at and not completed comes again, in the next turn as well, and holds the others back.
#[test]
fn a_frame_that_cannot_be_sent_stays() -> Tested {
    let mut tx = Tx::new(Features::VERSION_1)?;
    tx.send(0, 10, 60)?;
    tx.send(1, 11, 60)?;
    for _ in 0..3 {
        let mut turn = tx.reader.turn()?;
        for _ in 0..3 {
            let mut bytes = [0; 60];
            turn.frame()?.ok_or("it is still there")?.copy_to(&mut bytes);
            assert_eq!(traffic::number(&bytes), Some(10));
        }
        assert!(!turn.publish() && turn.arm(), "nothing to tell, and something to do");
        assert!(tx.driver.hostile().used().is_empty());
    }
    let start = tx.reader.cursor();
    let ring = RingConfig { start, ..tx.driver.ring_config() };
    tx.reader = TxReader::new(ring, Features::VERSION_1, tx.memory.clone())?;
    assert_eq!(tx.numbers()?, [10, 11], "also for a reader that is restored");
    Ok(())
}

/// An index that makes no sense is an error that does not go away.
#[test]
fn a_broken_ring() -> Tested {
    let mut tx = Tx::new(Features::VERSION_1)?;
    let index = tx.driver.hostile().next_avail();
    tx.driver.hostile().avail_index(index.wrapping_add(SIZE + 1));
    for _ in 0..2 {
        assert!(matches!(tx.pass(), Err(RingError::IndexJump { index: 9, size: 8, .. })));
        tx.driver.hostile().avail_index(index);
    }
    assert!(tx.driver.hostile().used().is_empty());
    Ok(())
}

/// When the driver is interrupted, and when it has to kick: by flags and by event indices.
#[test]
fn notifications_go_both_ways() -> Tested {
    for features in [Features::VERSION_1, Features::VERSION_1 | Features::EVENT_IDX] {
        let mut tx = Tx::new(features)?;
        tx.driver.want_interrupt();
        tx.send(0, 0, 60)?;
        assert!(tx.pass()?.interrupt, "{features:?}: it asked for one");
        tx.driver.ignore_interrupts();
        tx.send(1, 1, 60)?;
        assert!(!tx.pass()?.interrupt, "{features:?}: it asked for none");
        assert!(tx.driver.post(1).kick, "{features:?}: the device sleeps");
        let mut turn = tx.reader.turn()?;
        while turn.frame()?.is_some_and(|frame| {
            frame.complete();
            true
        }) {}
        let _ = turn.publish();
        assert!(!tx.driver.post(1).kick, "{features:?}: the device is looking anyway");
        assert!(turn.arm(), "{features:?}: and finds it");
    }
    Ok(())
}

#[test]
fn a_queue_that_makes_no_sense_is_refused() -> Tested {
    let tx = Tx::new(Features::VERSION_1)?;
    let mut config = tx.driver.ring_config();
    config.avail.0 += 1;
    assert!(TxReader::new(config, Features::VERSION_1, tx.memory).is_err());
    Ok(())
}
