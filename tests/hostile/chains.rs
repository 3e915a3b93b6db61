//! Chains that break the rules, and rings that make no sense.

use netrx::spec::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use netrx::{Features, Gpa};
use netrx_mock::{Hostile, Shape};

use crate::scene::{Error, Row, Scene, Set, Verdict};

const CHAIN: u16 = DESC_WRITE | DESC_NEXT;
/// Nothing is mapped there.
const NOWHERE: Gpa = Gpa(0x10_0000);

/// In each row chain 0 is the bad one, made available before chain 7, which is good. Used `0:0` is how it must come back,
/// and `7:72` is a frame of 60 bytes behind a header of 12.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row { name: "KF 28  the index jumps beyond the ring", play: jump_ahead, verdict: "used ; Broken" },
    Row { name: "KF 28  the index goes back", play: jump_back, verdict: "used 0:72 1:72; Broken" },
    Row { name: "KF 28  the index goes back behind what is held", play: jump_behind, verdict: "used ; Broken" },
    Row { name: "KF 29  a chain in a circle", play: circle, verdict: "used 0:0 7:72; Idle" },
    Row { name: "KF 29  an indirect chain in a circle", play: indirect_circle, verdict: "used 0:0 7:72; Idle" },
    Row { name: "KF 29  a descriptor that follows itself", play: selfish, verdict: "used 0:0 7:72; Idle" },
    Row { name: "KF 30  a ring full of bad chains, and one that is good", play: all_bad, verdict: "used 0:0 1:0 2:0 3:0 4:0 5:0 6:0 7:72; Idle" },
    Row { name: "KF 35  a head made available twice in a batch", play: twice, verdict: "used 0:72 0:0 7:72; Idle" },
    Row { name: "KF 35  the same of a chain of two buffers", play: chain_twice, verdict: "used 0:72 0:0 7:72; Idle" },
    Row { name: "KF 35  a head made available while it is held", play: while_held, verdict: "used 0:0 0:40 7:40; Idle" },
    Row { name: "KF 40  an index in halves, the lower first", play: |set| halves(set, 0, LOWER_FIRST)?.used(), verdict: "used 0:72 1:72 2:72; Broken" },
    Row { name: "KF 40  an index in halves, the upper first", play: |set| halves(set, 0, UPPER_FIRST)?.used(), verdict: "used 0:72 1:72 2:72; Broken" },
    Row { name: "KF 40  the same, in a ring that is long enough for it", play: long_halves, verdict: "4 delivered, 255 bad, 4 irqs; Broken" },
    Row { name: "KF 40  a head outside of the table", play: head_outside, verdict: "used 8:0 65535:0 7:72; Idle" },
    Row { name: "       a buffer outside of memory", play: outside, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a buffer that runs out of memory", play: runs_out, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a buffer that runs over the address space", play: wraps, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a second buffer outside of memory", play: second_outside, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a buffer of u32::MAX bytes", play: endless, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       an empty buffer", play: empty, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       empty buffers amid a chain, wherever they point", play: empty_amid, verdict: "used 0:72; Idle" },
    Row { name: "       the successor is outside of the table", play: next_outside, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       the device may not write the first buffer", play: read_only, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       the device may not write the last buffer", play: read_only_last, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table without the feature", play: unasked, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table in a table", play: nested, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table with a successor", play: table_and_next, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table behind a buffer, as its last", play: table_last, verdict: "used 0:72; Idle" },
    Row { name: "       a table of no entries", play: |set| table_of(set, 0), verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table of one and a half entries", play: |set| table_of(set, 24), verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table of more entries than the queue", play: |set| table_of(set, 144), verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table of u32::MAX bytes", play: |set| table_of(set, u32::MAX), verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table outside of memory", play: table_outside, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       a table at the end of the address space", play: table_wraps, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       an entry's successor is outside of its table", play: entry_next_outside, verdict: "used 0:0 7:72; Idle" },
    Row { name: "       every flag there is", play: every_flag, verdict: "used 0:0 7:72; Idle" },
];

/// Lets the guest write chain 0, offers it and then chain 7, and sends a frame.
fn with(set: &Set, write: impl FnOnce(&mut Hostile<'_>, Gpa)) -> Verdict {
    let mut scene = set.open()?;
    let buffer = scene.hostile().buffers(0)[0].0;
    write(&mut scene.hostile(), buffer);
    scene.hostile().offer(0).offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn indirect(set: &Set) -> Set {
    set.features(Features::VERSION_1 | Features::INDIRECT_DESC)
}

/// Chain 0 is a table of `len` bytes at its own buffer, with these entries: address, length, flags, successor.
fn with_table(set: &Set, len: u32, flags: u16, entries: &[(Gpa, u32, u16, u16)]) -> Verdict {
    let mut scene = set.open()?;
    let (table, buffer) = (scene.hostile().buffers(0)[0].0, scene.hostile().buffers(1)[0].0);
    for (index, &(at, len, flags, next)) in entries.iter().enumerate() {
        let at = if at == Gpa(0) { buffer } else { at };
        scene.hostile().entry(table, index, at, len, flags, next);
    }
    scene.hostile().descriptor(0, table, len, flags, 1).offer(0).offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn jump_ahead(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    scene.driver.post(2);
    scene.hostile().avail_index(9);
    scene.send(60);
    assert_eq!(scene.poll(), scene.poll(), "it stays broken");
    scene.used()
}

fn jump_back(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    scene.driver.post(2);
    (0..2).for_each(|_| scene.send(60));
    scene.poll();
    scene.hostile().avail_index(1);
    scene.send(60);
    scene.poll();
    scene.used()
}

/// A frame of 100 bytes waits for more than two chains of 40, and the driver claims to have posted one.
fn jump_behind(set: &Set) -> Verdict {
    let mut scene = set.features(Features::MRG_RXBUF).shapes(&[Shape::single(40)]).open()?;
    scene.driver.post(2);
    scene.send(100);
    scene.poll();
    scene.hostile().avail_index(1);
    scene.poll();
    scene.used()
}

/// What is in memory between two stores of a byte each, of the old index and the new one.
type Between = fn([u8; 2], [u8; 2]) -> [u8; 2];
const LOWER_FIRST: Between = |old, new| [new[0], old[1]];
const UPPER_FIRST: Between = |old, new| [old[0], new[1]];

/// A driver that stores its index a byte at a time, from 252 on, and an engine that looks in between. What it sees is the
/// old index or the new one, but where the upper byte changes: in a short ring that is a jump, which ends the queue.
/// `waiting` frames are more than there is room for; entries that were never written name no head.
fn halves(set: &Set, waiting: usize, between: Between) -> Result<Scene, Error> {
    let mut set = set.clone();
    set.driver.start = 252;
    let mut scene = set.open()?;
    let (entries, len) = (scene.driver.ring_config().avail.0 + 4, 2 * usize::from(set.driver.size));
    scene.driver.memory().slice(Gpa(entries), len)?.copy_from(&vec![0xff; len]);
    (0..waiting).for_each(|_| scene.send(60));
    for head in 0..8 {
        scene.send(60);
        let old = scene.hostile().next_avail();
        let new = scene.hostile().offer(head).next_avail();
        scene.hostile().avail_index(u16::from_le_bytes(between(old.to_le_bytes(), new.to_le_bytes())));
        scene.poll();
        scene.hostile().avail_index(new);
        scene.poll();
    }
    Ok(scene)
}

/// Where the ring is long enough for the jump, what its entries say comes back unused, and once the index is whole it is
/// behind what was taken.
fn long_halves(set: &Set) -> Verdict {
    let mut set = set.size(512);
    set.regions = vec![1 << 18];
    halves(&set, 1, UPPER_FIRST)?.ledger()
}

fn circle(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 10, CHAIN, 1).descriptor(1, at, 10, CHAIN, 0);
    })
}

fn selfish(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 10, CHAIN, 0);
    })
}

fn indirect_circle(set: &Set) -> Verdict {
    with_table(&indirect(set), 32, DESC_INDIRECT, &[(Gpa(0), 9, CHAIN, 1), (Gpa(0), 9, CHAIN, 0)])
}

fn all_bad(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    for head in 0..7 {
        scene.hostile().descriptor(head, NOWHERE, 200, DESC_WRITE, 0).offer(head);
    }
    scene.hostile().offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn twice(set: &Set) -> Verdict {
    offered_twice(set.open()?)
}

fn chain_twice(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    let buffer = scene.hostile().buffers(0)[0].0;
    let behind = Gpa(buffer.0 + 50);
    scene.hostile().descriptor(0, buffer, 50, CHAIN, 1).descriptor(1, behind, 50, DESC_WRITE, 0);
    offered_twice(scene)
}

fn offered_twice(mut scene: Scene) -> Verdict {
    scene.hostile().offer(0).offer(0).offer(7);
    (0..2).for_each(|_| scene.send(60));
    scene.poll();
    scene.used()
}

/// A frame of 68 bytes waits for a second chain of 40, and the first comes again.
fn while_held(set: &Set) -> Verdict {
    let mut scene = set.features(Features::MRG_RXBUF).shapes(&[Shape::single(40)]).open()?;
    scene.hostile().offer(0).offer(0);
    scene.send(68);
    scene.poll();
    scene.hostile().offer(7);
    scene.poll();
    scene.used()
}

fn head_outside(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    scene.hostile().offer(8).offer(u16::MAX).offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn outside(set: &Set) -> Verdict {
    with(set, |guest, _| {
        guest.descriptor(0, NOWHERE, 200, DESC_WRITE, 0);
    })
}

fn runs_out(set: &Set) -> Verdict {
    let end = set.open()?.end();
    with(set, |guest, _| {
        guest.descriptor(0, Gpa(end - 199), 200, DESC_WRITE, 0);
    })
}

fn wraps(set: &Set) -> Verdict {
    with(set, |guest, _| {
        guest.descriptor(0, Gpa(u64::MAX - 100), 200, DESC_WRITE, 0);
    })
}

fn second_outside(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 100, CHAIN, 1).descriptor(1, NOWHERE, 100, DESC_WRITE, 0);
    })
}

fn endless(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, u32::MAX, DESC_WRITE, 0);
    })
}

fn empty(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 0, DESC_WRITE, 0);
    })
}

fn empty_amid(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, NOWHERE, 0, CHAIN, 1).descriptor(1, at, 50, CHAIN, 2);
        guest.descriptor(2, Gpa(u64::MAX), 0, CHAIN, 3).descriptor(3, Gpa(at.0 + 50), 50, DESC_WRITE, 0);
    })
}

fn next_outside(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 100, CHAIN, 8);
    })
}

fn read_only(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 200, 0, 0);
    })
}

fn read_only_last(set: &Set) -> Verdict {
    with(set, |guest, at| {
        guest.descriptor(0, at, 100, CHAIN, 1).descriptor(1, at, 100, 0, 0);
    })
}

fn unasked(set: &Set) -> Verdict {
    with_table(set, 16, DESC_INDIRECT, &[(Gpa(0), 200, DESC_WRITE, 0)])
}

/// The inner table would be a good one.
fn nested(set: &Set) -> Verdict {
    let mut scene = indirect(set).open()?;
    let [outer, inner, buffer] = [0, 1, 2].map(|chain| scene.hostile().buffers(chain)[0].0);
    scene.hostile().descriptor(0, outer, 16, DESC_INDIRECT, 0);
    scene.hostile().entry(outer, 0, inner, 16, DESC_INDIRECT, 0).entry(inner, 0, buffer, 200, DESC_WRITE, 0);
    scene.hostile().offer(0).offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn table_and_next(set: &Set) -> Verdict {
    with_table(&indirect(set), 16, DESC_INDIRECT | DESC_NEXT, &[(Gpa(0), 200, DESC_WRITE, 0)])
}

fn table_last(set: &Set) -> Verdict {
    let mut scene = indirect(set).open()?;
    let (table, buffer) = (scene.hostile().buffers(2)[0].0, scene.hostile().buffers(0)[0].0);
    scene.hostile().entry(table, 0, Gpa(buffer.0 + 10), 100, DESC_WRITE, 0);
    scene.hostile().descriptor(0, buffer, 10, CHAIN, 1).descriptor(1, table, 16, DESC_INDIRECT, 0);
    scene.hostile().offer(0).offer(7);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn table_of(set: &Set, len: u32) -> Verdict {
    with_table(&indirect(set), len, DESC_INDIRECT, &[(Gpa(0), 200, DESC_WRITE, 0)])
}

fn table_outside(set: &Set) -> Verdict {
    with(&indirect(set), |guest, _| {
        guest.descriptor(0, NOWHERE, 32, DESC_INDIRECT, 0);
    })
}

fn table_wraps(set: &Set) -> Verdict {
    with(&indirect(set), |guest, _| {
        guest.descriptor(0, Gpa(u64::MAX - 3), 32, DESC_INDIRECT, 0);
    })
}

fn entry_next_outside(set: &Set) -> Verdict {
    with_table(&indirect(set), 32, DESC_INDIRECT, &[(Gpa(0), 100, CHAIN, 2)])
}

fn every_flag(set: &Set) -> Verdict {
    with(&indirect(set), |guest, at| {
        guest.descriptor(0, at, 160, u16::MAX, u16::MAX);
    })
}
