//! The frames to inject: a small pool, so that the source stays in the cache and the ring decides the figure.

/// Distinct frames in the pool; a power of two.
const POOL: usize = 8;

/// `count` frames of one size, taken from a small pool in turn.
pub(crate) struct Frames {
    pool: [Vec<u8>; POOL],
    count: usize,
}

impl Frames {
    /// `count` frames of `len` bytes, of an Ethernet type for local experiments that nobody looks into.
    pub(crate) fn new(len: usize, count: usize) -> Self {
        let frame = |seed: usize| {
            let mut bytes: Vec<u8> = (0..len).map(|at| (at * 7 + seed * 31 + at / 251) as u8).collect();
            bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
            bytes
        };
        Self { pool: std::array::from_fn(frame), count }
    }

    /// How many to inject.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The frame to inject at this place.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> &[u8] {
        &self.pool[place % POOL]
    }
}
