//! Against the naive device.

use netrx::{Features, FrameMeta};
use netrx_mock::{Placing, Shape};
use netrx_oracle::{Op, Setup};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::{play, strategies};

/// Large rings take their time.
fn fewer(config: ProptestConfig) -> ProptestConfig {
    ProptestConfig { cases: config.cases.div_ceil(16), ..config }
}

proptest! {
    /// Small rings, every subset of features, every shape.
    #[test]
    fn small_rings(setup in strategies::setup(strategies::small()), ops in strategies::ops(80)) {
        play(&setup, &ops)?;
    }

    /// Several frames read at once: chains may be used out of order, so what the driver sees decides.
    #[test]
    fn frames_read_in_batches(setup in strategies::batched(strategies::small()), ops in strategies::ops(80)) {
        play(&setup, &ops)?;
    }
}

proptest! {
    #![proptest_config(fewer(ProptestConfig::default()))]

    /// Rings up to the largest.
    #[test]
    fn large_rings(setup in strategies::setup(strategies::large()), ops in strategies::ops(40)) {
        let shapes = setup.shapes.into_iter().map(|shape| Shape {
            buffers: shape.buffers.into_iter().map(|len| len.min(100)).collect(),
            ..shape
        });
        play(&Setup { shapes: shapes.collect(), ..setup }, &ops)?;
    }
}

/// Bursts that go round the ring and over the end of the index many times.
#[test]
fn a_ring_of_every_size_goes_round() -> Result<(), TestCaseError> {
    for log in 0..=15 {
        let size: u16 = 1 << log;
        let frames = 2 * usize::from(size) + 3;
        for (features, placing) in [
            (Features::NONE, Placing::Copy),
            (Features::EVENT_IDX | Features::VERSION_1, Placing::Read { largest: 60, batch: 1 }),
            (Features::EVENT_IDX | Features::MRG_RXBUF, Placing::Copy),
        ] {
            let shapes = vec![Shape::single(72)];
            let start = u16::MAX - size / 2;
            let setup =
                Setup { size, features, shapes, start, placing, drops: false, budget: u32::MAX, regions: 1 };
            let send = std::iter::repeat_n(Op::Send(60, FrameMeta::PLAIN), frames);
            let rounds = [Op::Post(u16::MAX), Op::Sleep, Op::Poll, Op::Drain].repeat(3);
            let ops: Vec<_> = send.chain(rounds).collect();
            play(&setup, &ops)?;
        }
    }
    Ok(())
}
