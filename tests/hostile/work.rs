//! Bounded work, and memory of any shape.

use std::time::{Duration, Instant};

use netrx::engine::{Budget, Moderation, WhenFull};
use netrx::spec::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};
use netrx::{EngineConfig, Features, Gpa, Progress};
use netrx_mock::{Placing, Rig, ScriptedSource, Shape};
use netrx_oracle::Ending;

use crate::scene::{Row, Set, Verdict};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row { name: "KF 21  interrupts under load, 1000 frames", play: under_load, verdict: "4 interrupts" },
    Row { name: "KF 26  regions and buffers of odd lengths", play: odd, verdict: "600 delivered, 300 irqs; Idle" },
    Row { name: "KF 34  a thousand frames, ten a turn", play: ten_a_turn, verdict: "100 turns; 1000 delivered, 100 irqs; More" },
    Row { name: "KF 34  chains that share all descriptors", play: shared, verdict: "fewer than 300 chains a turn, More, then Idle" },
    Row { name: "KF 34  good chains that take long to walk", play: long, verdict: "More, and Starved in the end" },
    Row { name: "       frames that find no room are dropped", play: drops, verdict: "8 delivered, 1 irqs, 92 ring_full; Idle" },
    Row { name: "       a buffer over the used ring", play: |set| over(set, |ring| ring.used), verdict: "it goes on as the naive device does" },
    Row { name: "       a buffer over the available ring", play: |set| over(set, |ring| ring.avail), verdict: "it goes on as the naive device does" },
    Row { name: "       a buffer over the descriptor table", play: |set| over(set, |ring| ring.desc), verdict: "it goes on as the naive device does" },
];

fn under_load(set: &Set) -> Verdict {
    let set = set.features(Features::VERSION_1).size(1024).shapes(&[Shape::single(80)]);
    let memory = Set { regions: vec![1 << 18], ..set.clone() }.memory()?;
    let config = EngineConfig {
        when_full: WhenFull::Wait,
        moderation: Moderation {
            max_frames: 256,
            max_delay: Duration::from_secs(1),
            ..Moderation::default()
        },
        budget: Budget { frames: 10, bytes: u64::MAX },
    };
    let mut rig = Rig::on(&memory, set.driver, config)?;
    rig.driver.post(1024);
    let (mut source, script) = ScriptedSource::new();
    (0..1000).for_each(|_| script.frame([3; 60]));
    let now = Instant::now();
    while rig.engine.poll(&mut source, now)? == Progress::More {}
    assert_eq!(rig.driver.drain_frames()?.len(), 1000);
    rig.check()?;
    Ok(format!("{} interrupts", rig.irq.raised()))
}

fn odd(set: &Set) -> Verdict {
    let shapes = [Shape::chained(&[13, 7, 101]), Shape::single(133)];
    let mut set = set.size(64).shapes(&shapes);
    set.regions = vec![5001, 3333];
    let mut scene = set.open()?;
    for _ in 0..300 {
        scene.driver.post(3);
        scene.send(61);
        scene.send(109);
        scene.poll();
        assert_eq!(scene.drain()?.len(), 2);
    }
    scene.ledger()
}

fn ten_a_turn(set: &Set) -> Verdict {
    let mut set = set.size(1024).shapes(&[Shape::single(80)]);
    (set.regions, set.budget) = (vec![1 << 18], 10);
    let mut scene = set.open()?;
    scene.driver.post(1024);
    (0..1001).for_each(|_| scene.send(60));
    let mut turns = 0;
    while scene.duel.waiting() > 1 {
        assert_eq!(scene.poll(), Ending::More);
        turns += 1;
    }
    assert_eq!(scene.drain()?.len(), 1000);
    Ok(format!("{turns} turns; {}", scene.ledger()?))
}

/// Each head's chain is the whole table, and not one of them is of use: the square of the queue's size to look at.
fn shared(set: &Set) -> Verdict {
    let size: u16 = 4096;
    let mut set = set.size(size).shapes(&[Shape::single(1)]);
    (set.regions, set.alone, set.budget) = (vec![1 << 18], true, 256);
    let mut scene = set.open()?;
    let at = scene.hostile().buffers(0)[0].0;
    for index in 0..size {
        let flags = if index == size - 1 { 0 } else { DESC_WRITE };
        scene.hostile().descriptor(index, at, 1, flags | DESC_NEXT, (index + 1) % size);
    }
    (0..size).for_each(|_| {
        scene.hostile().offer(0);
    });
    scene.send(60);
    assert_eq!(scene.poll(), Ending::More);
    let (mut before, mut turns) = (0, 0);
    while scene.duel.sum(|stats| stats.chains_bad) < u64::from(size) {
        let bad = scene.duel.sum(|stats| stats.chains_bad);
        assert!(bad - before < 300, "{} chains in a turn", bad - before);
        before = bad;
        turns += 1;
        assert!(turns < size, "it makes progress");
        scene.poll();
    }
    let buffer = scene.hostile().buffers(1)[0].0;
    scene.hostile().descriptor(1, buffer, 100, DESC_WRITE, 0).offer(1);
    let ending = scene.poll();
    Ok(format!("fewer than 300 chains a turn, More, then {ending:?}"))
}

/// Each head's chain is the same long table, empty but for its end, and a frame needs more of them than there are.
fn long(set: &Set) -> Verdict {
    let size: u16 = 4096;
    let features = Features::MRG_RXBUF | Features::INDIRECT_DESC;
    let mut set = set.features(features).size(size).shapes(&[Shape::single(12)]);
    (set.regions, set.alone, set.budget) = (vec![1 << 19], true, 16);
    let mut scene = set.open()?;
    let (at, table) = (scene.hostile().buffers(0)[0].0, Gpa(scene.end() - 16 * u64::from(size)));
    for index in 0..size {
        let (len, flags) = if index == size - 1 { (12, DESC_WRITE) } else { (0, DESC_WRITE | DESC_NEXT) };
        scene.hostile().entry(table, usize::from(index), at, len, flags, index.wrapping_add(1));
    }
    for head in 0..size / 2 {
        scene.hostile().descriptor(head, table, 16 * u32::from(size), DESC_INDIRECT, 0).offer(head);
    }
    scene.send(60_000);
    let first = scene.poll();
    let turns = (0..256).map(|_| scene.poll()).take_while(|ending| *ending == Ending::More);
    assert!((100..256).contains(&turns.count()), "it makes progress, a little in each turn");
    Ok(format!("{first:?}, and {:?} in the end", scene.poll()))
}

fn drops(set: &Set) -> Verdict {
    let mut scene = Set { drops: true, ..set.clone() }.open()?;
    scene.driver.post(8);
    (0..100).for_each(|_| scene.send(60));
    scene.poll();
    scene.ledger()
}

/// The guest posts a buffer over its own ring. That is its own trouble, and nobody else's: the naive device beside it
/// finds the same memory.
fn over(set: &Set, area: fn(&netrx::ring::RingConfig) -> Gpa) -> Verdict {
    for placing in [Placing::Copy, Placing::Read { largest: 180, batch: 1 }] {
        for offset in 0..40 {
            let mut scene = Set { placing, ..set.clone() }.open()?;
            let at = area(&scene.driver.ring_config()).0.saturating_sub(offset);
            let whole = scene.driver.memory().slice(Gpa(at), 200).is_ok();
            scene.hostile().descriptor(1, Gpa(at), 200, DESC_WRITE, 0);
            for head in 0..4 {
                scene.hostile().offer(head);
            }
            (0..8).for_each(|_| scene.send(150));
            (0..3).for_each(|_| {
                scene.poll();
            });
            assert!(whole || scene.duel.sum(|stats| stats.chains_bad) == 1);
        }
    }
    Ok("it goes on as the naive device does".into())
}
