//! Numbers out of a fuzzer's bytes, and back: little-endian, from the front; behind the end there are only zeros.

use netrx::Features;

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'i> {
    rest: &'i [u8],
}

impl<'i> Input<'i> {
    pub(super) fn new(rest: &'i [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// At most `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> &'i [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.take(N);
        std::array::from_fn(|at| taken.get(at).copied().unwrap_or(0))
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(super) fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn quad(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The features that change how the ring works, one for each of the low bits of a byte.
    pub(super) fn ring_features(&mut self) -> Features {
        let bits = self.byte();
        let all = [Features::VERSION_1, Features::MRG_RXBUF, Features::INDIRECT_DESC, Features::EVENT_IDX];
        let some = all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        some.fold(Features::NONE, |set, (_, feature)| set | feature)
    }
}

/// The byte that [`Input::ring_features`] reads them from.
pub(super) mod feature {
    pub(in super::super) const VERSION_1: u8 = 1;
    pub(in super::super) const MRG_RXBUF: u8 = 2;
    pub(in super::super) const INDIRECT_DESC: u8 = 4;
    pub(in super::super) const EVENT_IDX: u8 = 8;
}
