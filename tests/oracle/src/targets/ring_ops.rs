//! A driver that keeps the rules, against `virtio-queue` and the naive device: the same bytes, the same interrupts.
//!
//! ```text
//! size 1 | features 1 | placing 1 | start 2 | shapes 1: buffers 1, lengths 2 each | steps: what 1, ...
//! ```

use netrx::spec::{Checksum, SegmentKind, Segmentation};
use netrx::{Features, FrameMeta};
use netrx_mock::{Placing, Shape};

use super::arena::Arena;
use super::input::Input;
use crate::RustVmm;
use crate::stage::{Error, Op, Setup, Stage};

const REGIONS: [usize; 2] = [8192, 8192];
const OFFLOADS: Features = Features(Features::GUEST_CSUM.0 | Features::GUEST_TSO4.0);

thread_local! {
    static ARENA: Arena = Arena::new(&REGIONS);
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(setup) = setup(&mut input) else { return };
    let played = ARENA.with(|arena| steps(arena, setup, input));
    assert!(played.is_ok(), "{played:?}");
}

fn setup(input: &mut Input<'_>) -> Option<Setup> {
    let size = 1 << (input.byte() % 6);
    let features = input.ring_features() | OFFLOADS;
    let how = input.byte();
    let placing = match (how & 1, how >> 7) {
        (0, 0) => Placing::Copy,
        (0, _) => Placing::Burst(usize::from(how >> 3)),
        _ => Placing::Read { largest: 700, batch: 1 },
    };
    let budget = if how & 4 == 0 { u32::MAX } else { 1 + u32::from(how >> 3) };
    let start = input.word();
    let shapes: Vec<_> = (0..=input.byte() % 3).map(|_| shape(features, input)).collect();
    let fits = |shape: &Shape| shape.buffers.len() <= usize::from(size);
    // What does not fit the memory is refused by the driver.
    let bytes: usize = shapes.iter().flat_map(|shape| &shape.buffers).map(|len| *len as usize + 48).sum();
    let all = bytes * usize::from(size) < (REGIONS[0] + REGIONS[1]) / 2;
    let setup = Setup { size, features, shapes, start, placing, drops: how & 2 != 0, budget, regions: 2 };
    (all && setup.shapes.iter().all(fits)).then_some(setup)
}

fn shape(features: Features, input: &mut Input<'_>) -> Shape {
    let what = input.byte();
    let buffers = (0..=what % 4).map(|_| u32::from(input.word() % 800)).collect();
    Shape { buffers, indirect: what & 0x80 != 0 && features.has(Features::INDIRECT_DESC) }
}

fn steps(arena: &Arena, setup: Setup, mut input: Input<'_>) -> Result<(), Error> {
    let memory = arena.fresh();
    let features = setup.features;
    let mut stage = Stage::new(memory, setup)?;
    let duel = stage.duel();
    let rival = RustVmm::new(memory, *duel.ring(), features)?;
    duel.against(rival);
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        stage.play(op(&mut input))?;
    }
    stage.finish()
}

fn op(input: &mut Input<'_>) -> Op {
    match input.byte() % 12 {
        0..2 => Op::Post(u16::from(input.byte())),
        2..5 => Op::Send(usize::from(input.word() % 700), FrameMeta::PLAIN),
        5 => Op::Send(usize::from(input.word() % 700), cut(input.byte())),
        6 => Op::Drain,
        7 => Op::Sleep,
        8 => Op::Ignore,
        9 => Op::Shuffle(u64::from(input.byte())),
        10 => Op::Restart,
        _ => Op::Poll,
    }
}

/// Metadata of a large segment, which may or may not make sense.
fn cut(code: u8) -> FrameMeta {
    let checksum = Checksum::Partial { start: u16::from(code) * 2, offset: 16 };
    let size = u16::from(code >> 1);
    let cut = Segmentation { kind: SegmentKind::TcpV4, size, header_len: 54, ecn: false };
    FrameMeta { checksum, segmentation: (code & 1 == 1).then_some(cut) }
}
