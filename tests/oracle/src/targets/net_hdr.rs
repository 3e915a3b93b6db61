//! Arbitrary features and metadata: the header must be the one that was written down a second time, and reach the
//! driver so.
//!
//! ```text
//! features 8 | checksum 1, start 2, offset 2 | cut 1, size 2, header 2 | frame 2 | placing 1
//! ```

use netrx::spec::{Checksum, HeaderRules, SegmentKind, Segmentation};
use netrx::{Features, FrameMeta};
use netrx_mock::{Placing, Shape};

use super::arena::Arena;
use super::input::Input;
use crate::header;
use crate::stage::{Error, Op, Setup, Stage};

/// No frame longer than this is sent to the driver.
const LONGEST: usize = 900;

thread_local! {
    static ARENA: Arena = Arena::new(&[4096]);
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let features = Features(input.quad());
    let meta = meta(&mut input);
    let len = usize::from(input.word());
    compare(features, &meta, len);
    let reads = input.byte() & 1 == 1;
    let served = features.without(Features::RING_PACKED | Features::IN_ORDER | Features::HASH_REPORT);
    let played = ARENA.with(|arena| send(arena, served, meta, len % LONGEST, reads));
    assert!(played.is_ok(), "{played:?}");
}

fn meta(input: &mut Input<'_>) -> FrameMeta {
    let checksum = match (input.byte() % 4, input.word(), input.word()) {
        (0, ..) => Checksum::Complete,
        (1, ..) => Checksum::Valid,
        (_, start, offset) => Checksum::Partial { start, offset },
    };
    let (kind, size, header_len) = (input.byte(), input.word(), input.word());
    let ecn = kind & 0x80 != 0;
    let kind = match kind % 8 {
        0 => Some(SegmentKind::TcpV4),
        1 => Some(SegmentKind::TcpV6),
        2 => Some(SegmentKind::UdpFragments),
        3 => Some(SegmentKind::UdpV4),
        4 => Some(SegmentKind::UdpV6),
        _ => None,
    };
    FrameMeta { checksum, segmentation: kind.map(|kind| Segmentation { kind, size, header_len, ecn }) }
}

/// The rules say what the second writing says.
fn compare(features: Features, meta: &FrameMeta, len: usize) {
    let rules = HeaderRules::new(features);
    assert_eq!(rules.len(), header::len(features));
    let header = rules.header(meta, len);
    for buffers in [1, 2, u16::MAX] {
        let ours =
            header.as_ref().ok().map(|header| header.with_buffers(buffers).bytes()[..rules.len()].to_vec());
        assert_eq!(ours, header::bytes(features, meta, len, buffers), "{features:?} {meta:?} {len}");
    }
}

/// The driver sees it; the stage checks what it sees.
fn send(arena: &Arena, features: Features, meta: FrameMeta, len: usize, reads: bool) -> Result<(), Error> {
    let memory = arena.fresh();
    let placing = if reads { Placing::Read { largest: LONGEST, batch: 1 } } else { Placing::Copy };
    let shapes = vec![Shape::chained(&[7, 400]), Shape::single(LONGEST as u32 + 12)];
    let setup =
        Setup { size: 4, features, shapes, start: 0, placing, drops: false, budget: u32::MAX, regions: 1 };
    let mut stage = Stage::new(memory, setup)?;
    for op in [Op::Post(4), Op::Send(len, meta), Op::Send(60, FrameMeta::PLAIN), Op::Poll, Op::Drain] {
        stage.play(op)?;
    }
    stage.finish()
}
