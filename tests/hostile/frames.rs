//! Frames and headers: nothing is cut, nothing is made up.

use netrx::spec::{Checksum, SegmentKind, Segmentation};
use netrx::{EngineConfig, Features, FrameMeta, Gpa, Received};
use netrx_mock::{Placing, Rig, Shape, from_fn};

use crate::scene::{Error, Row, Set, Verdict};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row { name: "KF 14  a chain too short for any frame", play: undersized, verdict: "used 0:0 1:72; Idle" },
    Row { name: "KF 14  a chain shorter than the frame, copied", play: |set| short(set, Placing::Copy), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "KF 14  a chain shorter than the frame, read", play: |set| short(set, READ), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "KF 15  the used lengths of a frame over four chains", play: sum_of_lengths, verdict: "used 0:30 1:30 2:30 3:22; Idle" },
    Row { name: "KF 16  heads out of order come back once each", play: shuffled, verdict: "400 delivered, 50 irqs; Idle" },
    Row { name: "KF 18  a large segment's header is its metadata's", play: large_segment, verdict: "header 01 01 36 00 78 05 22 00 10 00 01 00" },
    Row { name: "KF 19  every subset of the features", play: subsets, verdict: "2048 subsets, 8192 delivered, 12288 by metadata" },
    Row { name: "KF 33  the header is whole before the frame is visible", play: patched, verdict: "4 buffers in the header, 0 visible, then 4" },
    Row { name: "KF 36  a checksum's place outside of the frame", play: checksum_outside, verdict: "1 delivered, 1 irqs, 3 offload; Idle" },
    Row { name: "KF 39  first descriptors of 1 to 12 bytes", play: |set| tiny_first(set, Placing::Copy), verdict: "48 delivered, 48 irqs; Idle" },
    Row { name: "KF 39  the same, read", play: |set| tiny_first(set, READ), verdict: "48 delivered, 48 irqs; Idle" },
    Row { name: "KF 39  every buffer is one byte", play: bytes, verdict: "1 delivered, 1 irqs; Idle" },
    Row { name: "KF 39  little memory is posted", play: little, verdict: "1 delivered, 1 irqs; Idle" },
    Row { name: "KF 40  a segment that the driver did not ask for", play: unasked_segment, verdict: "1 delivered, 1 irqs, 1 offload; Idle" },
    Row { name: "       a frame too long for all that can be posted", play: |set| too_long(set, &[10, 20], 4, Placing::Copy), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "       the same, read, over chains of two descriptors", play: |set| too_long(set, &[10, 20], 4, READ), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "       the same over chains of three, of which no third fits the table", play: |set| too_long(set, &[10; 3], 2, Placing::Copy), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "       the same, read", play: |set| too_long(set, &[10; 3], 2, READ), verdict: "1 delivered, 1 irqs, 1 too_long; Idle" },
    Row { name: "       frames shorter than an Ethernet header", play: runts, verdict: "1 delivered, 1 irqs, 2 runt; Idle" },
];

const READ: Placing = Placing::Read { largest: 1600, batch: 1 };

fn undersized(set: &Set) -> Verdict {
    let mut scene = set.shapes(&[Shape::single(25), Shape::single(80)]).open()?;
    scene.driver.post(2);
    scene.send(60);
    scene.poll();
    scene.used()
}

fn short(set: &Set, placing: Placing) -> Verdict {
    let mut scene = Set { placing, ..set.clone() }.open()?;
    scene.driver.post(2);
    scene.send(189);
    scene.send(188);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    scene.ledger()
}

fn sum_of_lengths(set: &Set) -> Verdict {
    let mut scene = set.features(Features::MRG_RXBUF).shapes(&[Shape::single(30)]).open()?;
    scene.driver.post(8);
    scene.send(100);
    scene.poll();
    scene.used()
}

fn shuffled(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    let mut random = fastrand::Rng::with_seed(16);
    for _ in 0..50 {
        scene.driver.shuffle(&mut random);
        scene.driver.post(8);
        (0..8).for_each(|_| scene.send(60));
        scene.poll();
        assert_eq!(scene.drain()?.len(), 8);
    }
    scene.ledger()
}

const SEGMENT: FrameMeta = FrameMeta {
    checksum: Checksum::Partial { start: 34, offset: 16 },
    segmentation: Some(Segmentation { kind: SegmentKind::TcpV4, size: 1400, header_len: 54, ecn: false }),
};

fn large_segment(set: &Set) -> Verdict {
    let features = Features::VERSION_1 | Features::GUEST_CSUM | Features::GUEST_TSO4;
    let mut scene = set.features(features).size(2).shapes(&[Shape::single(20_000)]).open()?;
    scene.driver.post(1);
    scene.send_with(15_000, SEGMENT);
    scene.poll();
    let taken = scene.drain()?;
    let header: Vec<_> =
        taken.iter().flat_map(|taken| &taken.header).map(|byte| format!("{byte:02x}")).collect();
    scene.ledger()?;
    Ok(format!("header {}", header.join(" ")))
}

const KINDS: [SegmentKind; 5] = [
    SegmentKind::TcpV4,
    SegmentKind::TcpV6,
    SegmentKind::UdpFragments,
    SegmentKind::UdpV4,
    SegmentKind::UdpV6,
];

/// The header is as long as the features say, and a frame gets the offload that its feature allows, or is dropped.
fn subsets(set: &Set) -> Verdict {
    let ring = [Features::VERSION_1, Features::MRG_RXBUF, Features::INDIRECT_DESC, Features::EVENT_IDX];
    let offloads = [
        Features::GUEST_CSUM,
        Features::GUEST_TSO4,
        Features::GUEST_TSO6,
        Features::GUEST_ECN,
        Features::GUEST_UFO,
        Features::GUEST_USO4,
        Features::GUEST_USO6,
    ];
    let all = [&ring[..], &offloads].concat();
    let (mut delivered, mut by_metadata) = (0, 0);
    for bits in 0..1_u32 << all.len() {
        let some = all.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        let features = some.fold(Features::NONE, |set, (_, feature)| set | *feature);
        let mut small = set.features(features).size(16);
        small.regions = vec![8192];
        let mut scene = small.open()?;
        scene.driver.post(16);
        (0..4).for_each(|_| scene.send(60));
        scene.send_with(60, FrameMeta { checksum: Checksum::Valid, ..FrameMeta::PLAIN });
        for kind in KINDS {
            let cut = Segmentation { kind, size: 10, header_len: 40, ecn: kind == SegmentKind::TcpV6 };
            let checksum = Checksum::Partial { start: 34, offset: 16 };
            scene.send_with(60, FrameMeta { checksum, segmentation: Some(cut) });
        }
        scene.poll();
        let modern = features.has(Features::VERSION_1) || features.has(Features::MRG_RXBUF);
        let taken = scene.drain()?;
        assert!(taken.iter().all(|taken| taken.header.len() == if modern { 12 } else { 10 }));
        delivered += taken.iter().filter(|taken| taken.header[..2] == [0, 0]).count();
        by_metadata += taken.iter().filter(|taken| taken.header[..2] != [0, 0]).count();
        by_metadata += scene.duel.sum(|stats| stats.dropped(netrx::DropReason::Offload)) as usize;
        scene.ledger()?;
    }
    Ok(format!("{} subsets, {delivered} delivered, {by_metadata} by metadata", 1 << all.len()))
}

/// A source that reads one frame looks at what the guest would see.
fn patched(set: &Set) -> Verdict {
    let set = set.features(Features::MRG_RXBUF).shapes(&[Shape::single(30)]);
    let memory = set.memory()?;
    let mut rig = Rig::on(&memory, set.driver, EngineConfig::default())?;
    rig.driver.post(8);
    let header = rig.driver.hostile().buffers(0)[0].0;
    let (count, index) = (Gpa(header.0 + 10), Gpa(rig.driver.ring_config().used.0 + 2));
    let word = |at| {
        let mut word = [0; 2];
        memory.slice(at, 2).map(|from| from.copy_to(&mut word)).map(|_| u16::from_le_bytes(word))
    };
    let mut seen = None;
    let mut source = from_fn(|space| {
        if let Some(mut lent) = space.lend(108, 1) {
            assert_eq!(lent.copy_in(0, &[7; 100]), 100);
            assert_eq!(lent.fill(100, FrameMeta::PLAIN), netrx::Placed::Delivered);
            drop(lent);
            seen = Some((word(count), word(index)));
        }
        Received::Empty
    });
    let _ = rig.poll(&mut source)?;
    rig.check()?;
    let (buffers, before) = seen.ok_or::<Error>("it was not asked".into())?;
    Ok(format!("{} buffers in the header, {} visible, then {}", buffers?, before?, word(index)?))
}

fn checksum_outside(set: &Set) -> Verdict {
    let mut scene = set.features(Features::VERSION_1 | Features::GUEST_CSUM).open()?;
    scene.driver.post(8);
    for (start, offset) in [(58, 1), (u16::MAX, u16::MAX), (60, 0), (58, 0)] {
        let checksum = Checksum::Partial { start, offset };
        scene.send_with(60, FrameMeta { checksum, segmentation: None });
    }
    scene.poll();
    scene.ledger()
}

fn tiny_first(set: &Set, placing: Placing) -> Verdict {
    let mut scene = Set { placing, ..set.size(32) }
        .shapes(&(1..=12).map(|first| Shape::chained(&[first, 1526])).collect::<Vec<_>>())
        .open()?;
    for len in [14, 60, 1000, 1514] {
        for _ in 0..12 {
            scene.driver.post(1);
            scene.send(len);
            scene.poll();
            let taken = scene.drain()?;
            assert!(taken.len() == 1 && taken[0].frame.len() == len);
        }
    }
    scene.ledger()
}

fn bytes(set: &Set) -> Verdict {
    let mut scene = set.size(128).shapes(&[Shape::chained(&[1; 72])]).open()?;
    scene.driver.post(1);
    scene.send(60);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    scene.ledger()
}

fn little(set: &Set) -> Verdict {
    let mut scene = set.shapes(&[Shape::single(72)]).open()?;
    scene.driver.post(1);
    scene.send(60);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    scene.ledger()
}

fn unasked_segment(set: &Set) -> Verdict {
    let mut scene = set.features(Features::VERSION_1 | Features::GUEST_CSUM | Features::GUEST_TSO6).open()?;
    scene.driver.post(8);
    scene.send_with(180, SEGMENT);
    scene.send_with(180, FrameMeta { segmentation: None, ..SEGMENT });
    scene.poll();
    scene.ledger()
}

/// The table has room for so many `chains` of 30 bytes.
fn too_long(set: &Set, chain: &[u32], chains: usize, placing: Placing) -> Verdict {
    let shapes = [Shape::chained(chain)];
    let mut scene = Set { placing, ..set.features(Features::MRG_RXBUF).shapes(&shapes) }.open()?;
    scene.driver.post(8);
    scene.send(chains * 30 - 12 + 1);
    scene.send(chains * 30 - 12);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    scene.ledger()
}

fn runts(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    scene.driver.post(8);
    [0, 13, 14].into_iter().for_each(|len| scene.send(len));
    scene.poll();
    scene.ledger()
}
