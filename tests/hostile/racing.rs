//! Descriptors that change while they are looked at.
//!
//! In the other rows the guest stands still during a turn. Here it goes on writing: each field that is checked is by turns as it
//! should be and so that the chain is a bad one. Whichever of the two a look finds, nothing is written beside what was
//! posted; what is checked by one look and used by another writes there, or says that it wrote more than the chain holds.

use std::hint::spin_loop;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::thread;

use fastrand::Rng;
use netrx::mem::{GuestArray, MemoryError, Translator};
use netrx::spec::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use netrx::{EngineConfig, Features, Gpa};
use netrx_mock::{FakeDriver, MockMemory, Placing, Rig, RigError, ScriptedSource, Shape, traffic};

use crate::scene::{Row, Set, Verdict};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row { name: "       descriptors that change during a look", play: |set| race(set, set.placing), verdict: "nothing beside what was posted" },
    Row { name: "       the same, read", play: |set| race(set, READ), verdict: "nothing beside what was posted" },
];

const READ: Placing = Placing::Read { largest: 250, batch: 4 };
const TURNS: u32 = 20_000;
const CHANGES: u32 = 100;
/// Frames for each chain, for some, for one, and for none but what nobody posted.
const LENS: [usize; 4] = [60, 90, 150, 250];

const CHAIN: u16 = DESC_WRITE | DESC_NEXT;
/// Leads out of memory. It is one bit, as below: no mixture of two states is a third one.
const FAR: u64 = 1 << 40;
/// Makes a length that no region has.
const HUGE: u32 = 1 << 31;
/// The length of a table that has more entries than the queue.
const MANY: u32 = 9 * 16;
/// A descriptor that is no chain's, of a buffer that nobody posted.
const BAIT: u16 = 7;
/// The same, to whoever takes a successor that is outside of the table.
const BAIT_OUTSIDE: u16 = 8 + BAIT;

/// All of a descriptor behind its address: length, flags, successor.
type Rest = (u32, u16, u16);

/// A word of a descriptor, and what it is by turns.
struct Word<'m> {
    table: GuestArray<'m, u64>,
    index: usize,
    good: u64,
    bad: Vec<u64>,
}

impl Word<'_> {
    fn write(&self, value: u64) {
        self.table.store(self.index, value, Ordering::Relaxed);
    }

    /// Changes to each bad state and back, many times in a row: meanwhile the rest of its chain is good.
    ///
    /// It pauses in between: else each look has to wait for the word to come over from this CPU, and a second one follows
    /// before the word is back.
    fn change(&self) {
        for _ in 0..CHANGES {
            for bad in &self.bad {
                self.write(*bad);
                spin_loop();
                self.write(self.good);
                spin_loop();
            }
        }
    }
}

/// The words of a descriptor that is by turns `good`, somewhere else, too long, or a `lure`.
fn words<'m>(table: GuestArray<'m, u64>, index: usize, at: Gpa, good: Rest, lure: Rest) -> [Word<'m>; 2] {
    let word = |(len, flags, next)| u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48;
    let too_long = (good.0 | HUGE, good.1, good.2);
    [
        Word { table, index: 2 * index, good: at.0, bad: vec![at.0 | FAR] },
        Word { table, index: 2 * index + 1, good: word(good), bad: vec![word(too_long), word(lure)] },
    ]
}

/// Chain 0 is descriptor 0, chain 1 are descriptors 1 to 3, and two are tables, of descriptors 4 and 5.
fn shapes() -> [Shape; 4] {
    // Each table will end before its last entry, which is a bait.
    let (two, one) = (Shape::indirect(&[60, 60, 0]), Shape::indirect(&[60, 0]));
    [Shape::single(100), Shape::chained(&[40, 60, 100]), two, one]
}

/// Sets out the baits, and gives the words that change.
fn trap<'m>(memory: &'m MockMemory, driver: &mut FakeDriver) -> Result<Vec<Word<'m>>, MemoryError> {
    let mut translator = Translator::new(memory);
    let table = GuestArray::new(&mut translator, driver.ring_config().desc, 16)?;
    let [two, one] = [8, 10].map(|word| Gpa(table.load(word, Ordering::Relaxed)));
    let entries = GuestArray::new(&mut translator, two, 4)?;
    let bait = memory.regions().last().map_or(Gpa(0), |(start, len)| Gpa(start.0 + *len as u64 - 1000));
    let mut guest = driver.hostile();
    let [single, chained, of_two, of_one] = [0, 1, 2, 3].map(|chain| guest.buffers(chain).to_vec());
    guest.descriptor(BAIT, bait, 1000, DESC_WRITE, 0).entry(two, 2, bait, 1000, DESC_WRITE, 0);
    // A chain that is bad at every look: the only entry has a successor.
    guest.entry(one, 0, of_one[0].0, 60, CHAIN, 1).entry(one, 1, bait, 1000, DESC_WRITE, 0);
    let changing = [
        words(table, 0, single[0].0, (100, DESC_WRITE, BAIT), (100, DESC_NEXT, BAIT)),
        words(table, 1, chained[0].0, (40, CHAIN, 2), (40, CHAIN, BAIT_OUTSIDE)),
        words(table, 2, chained[1].0, (60, CHAIN, 3), (60, CHAIN, BAIT_OUTSIDE)),
        words(table, 3, chained[2].0, (100, DESC_WRITE, BAIT), (100, DESC_NEXT, BAIT)),
        words(table, 4, two, (32, DESC_INDIRECT, 0), (MANY, DESC_INDIRECT, 0)),
        words(entries, 0, of_two[0].0, (60, CHAIN, 1), (60, CHAIN, 2)),
        words(entries, 1, of_two[1].0, (60, DESC_WRITE, 2), (60, DESC_NEXT, 2)),
        words(table, 5, one, (16, DESC_INDIRECT, 0), (MANY, DESC_INDIRECT, 0)),
    ];
    Ok(changing.into_iter().flatten().collect())
}

fn race(set: &Set, placing: Placing) -> Verdict {
    let set = set.features(Features::VERSION_1 | Features::INDIRECT_DESC).shapes(&shapes());
    let memory = set.memory()?;
    let mut rig = Rig::on(&memory, set.driver, EngineConfig::default())?;
    let words = trap(&memory, &mut rig.driver)?;
    words.iter().for_each(|word| word.write(word.good));
    let raced = thread::scope(|scope| {
        let turns = scope.spawn(|| turns(rig, placing));
        while !turns.is_finished() {
            words.iter().for_each(Word::change);
        }
        turns.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    raced?;
    Ok("nothing beside what was posted".into())
}

/// Frames that come are whole, and nothing is written beside what was posted.
fn turns(mut rig: Rig, placing: Placing) -> Result<(), RigError> {
    let (mut source, script) = ScriptedSource::placing(placing);
    let mut random = Rng::with_seed(7);
    let (mut sent, mut next) = (0, 0);
    for _ in 0..TURNS {
        while script.left() < rig.driver.chains() {
            let len = random.choice(LENS).unwrap_or_default();
            script.frame(traffic::frame(sent, len));
            sent += 1;
        }
        for frame in rig.turn(&mut source)?.1 {
            let number = traffic::number(&frame).filter(|number| *number >= next);
            assert!(number.is_some(), "a frame is not whole, or not in its place");
            next = number.map_or(next, |number| number + 1);
        }
    }
    let stats = rig.check()?;
    assert!(stats.frames_delivered > 0, "{stats:?}");
    Ok(())
}
