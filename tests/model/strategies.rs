//! Of what the scripts are made.

use netrx::spec::{Checksum, SegmentKind, Segmentation};
use netrx::{Features, FrameMeta};
use netrx_mock::{Placing, Shape};
use netrx_oracle::{Op, Setup};
use proptest::collection::vec;
use proptest::prelude::*;

/// Every subset of the features that change how the ring works, with or without those that allow offloads.
fn features() -> impl Strategy<Value = Features> {
    let ring = [Features::VERSION_1, Features::MRG_RXBUF, Features::INDIRECT_DESC, Features::EVENT_IDX];
    let offloads = Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::GUEST_ECN | Features::GUEST_USO6;
    (prop::sample::subsequence(ring.to_vec(), 0..=ring.len()), any::<bool>()).prop_map(
        move |(some, offloaded)| {
            let offloads = if offloaded { offloads } else { Features::NONE };
            some.into_iter().fold(offloads, |all, one| all | one)
        },
    )
}

/// A chain of buffers: tiny first ones, empty ones, and any others.
fn shape(indirect: bool) -> impl Strategy<Value = Shape> {
    let buffer = prop_oneof![4 => 1..2000_u32, 2 => 1..=12_u32, 1 => Just(0_u32)];
    let buffers = prop_oneof![
        4 => vec(1..2000_u32, 1),
        3 => vec(buffer.clone(), 1..5),
        1 => (1..=12_u32, vec(buffer, 1..4)).prop_map(|(first, rest)| [vec![first], rest].concat()),
    ];
    (buffers, any::<bool>()).prop_map(move |(buffers, table)| Shape { buffers, indirect: table && indirect })
}

/// Whatever is made up for a queue of this size that it can hold.
fn fitting(size: u16, shapes: Vec<Shape>) -> Vec<Shape> {
    let fits = |shape: &Shape| shape.indirect || shape.buffers.len() <= usize::from(size);
    let mut fitting: Vec<_> = shapes.into_iter().filter(fits).collect();
    if fitting.is_empty() {
        fitting.push(Shape::single(1526));
    }
    // An indirect table may have no more entries than the queue.
    fitting.iter_mut().for_each(|shape| shape.buffers.truncate(usize::from(size)));
    fitting
}

/// Any setup in which chains are used in order, so that everything can be foretold.
pub(crate) fn setup(sizes: impl Strategy<Value = u16>) -> impl Strategy<Value = Setup> {
    let placing = prop_oneof![
        Just(Placing::Copy),
        (1..50_usize).prop_map(Placing::Burst),
        Just(Placing::Read { largest: 4000, batch: 1 }),
    ];
    let budget = prop_oneof![3 => Just(u32::MAX), 1 => 1..40_u32];
    let start = prop_oneof![Just(0), 65_500..=u16::MAX, any::<u16>()];
    let shapes = features()
        .prop_flat_map(|features| (Just(features), vec(shape(features.has(Features::INDIRECT_DESC)), 1..4)));
    let rest = (start, placing, prop::bool::weighted(0.2), budget, 1..=2_usize);
    (sizes, shapes, rest).prop_map(|(size, (features, shapes), (start, placing, drops, budget, regions))| {
        Setup { size, features, shapes: fitting(size, shapes), start, placing, drops, budget, regions }
    })
}

/// A source that reads many frames at once, over chains of one shape.
pub(crate) fn batched(sizes: impl Strategy<Value = u16>) -> impl Strategy<Value = Setup> {
    let batch = 2..40_usize;
    (setup(sizes), batch).prop_map(|(setup, batch)| Setup {
        shapes: fitting(setup.size, vec![roomy(&setup)]),
        placing: Placing::Read { largest: 4000, batch },
        drops: false,
        budget: u32::MAX,
        ..setup
    })
}

/// The first shape, made large enough for any frame once all chains are there.
fn roomy(setup: &Setup) -> Shape {
    let mut shape = setup.shapes.first().cloned().unwrap_or(Shape::single(1526));
    let chains = usize::from(setup.size) / if shape.indirect { 1 } else { shape.buffers.len() };
    let merges = setup.features.has(Features::MRG_RXBUF);
    let wanted = if merges { (4012 / chains.max(1)).max(12) as u32 + 1 } else { 26 };
    let short = wanted.saturating_sub(shape.buffers.iter().sum());
    if let Some(last) = shape.buffers.last_mut() {
        *last += short;
    }
    shape
}

/// Sizes that are quick to play.
pub(crate) fn small() -> impl Strategy<Value = u16> {
    (0..=8_u32).prop_map(|log| 1 << log)
}

/// All the others.
pub(crate) fn large() -> impl Strategy<Value = u16> {
    (9..=15_u32).prop_map(|log| 1 << log)
}

fn meta() -> impl Strategy<Value = FrameMeta> {
    let partial = (0..1500_u16, 0..40_u16).prop_map(|(start, offset)| Checksum::Partial { start, offset });
    let checksum = prop_oneof![Just(Checksum::Complete), Just(Checksum::Valid), partial];
    let kind = prop_oneof![Just(SegmentKind::TcpV4), Just(SegmentKind::UdpV6), Just(SegmentKind::TcpV6)];
    let cut = (kind, 0..3000_u16, 0..100_u16, any::<bool>());
    let cut = cut.prop_map(|(kind, size, header_len, ecn)| Segmentation { kind, size, header_len, ecn });
    let offloaded = (checksum, prop::option::of(cut))
        .prop_map(|(checksum, segmentation)| FrameMeta { checksum, segmentation });
    prop_oneof![4 => Just(FrameMeta::PLAIN), 1 => offloaded]
}

/// What happens, step by step, with frames of up to 4000 bytes.
pub(crate) fn ops(steps: usize) -> impl Strategy<Value = Vec<Op>> {
    let len = prop_oneof![3 => 14..200_usize, 2 => 14..4000_usize, 1 => 0..14_usize];
    let op = prop_oneof![
        4 => prop_oneof![1..8_u16, 1..300_u16, Just(u16::MAX)].prop_map(Op::Post),
        8 => (len, meta()).prop_map(|(len, meta)| Op::Send(len, meta)),
        6 => Just(Op::Poll),
        3 => Just(Op::Drain),
        3 => Just(Op::Sleep),
        1 => Just(Op::Ignore),
        1 => any::<u64>().prop_map(Op::Shuffle),
        1 => Just(Op::Restart),
    ];
    vec(op, 1..steps)
}
