//! A copy of what passes, for decorators that look at frames.

use super::DropReason;

/// Frames in the order in which they were placed, each with what became of it.
///
/// Its memory is kept when it is [cleared](Self::clear), and bounded by what one turn takes as long as it is cleared after
/// each `recv`.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// All frames, one after the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its bytes end.
    end: usize,
    len: usize,
    dropped: Option<DropReason>,
}

/// A frame on a [`Tape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taped<'a> {
    /// Its bytes, as far as there are any: of a frame that was dropped before it was read there are none.
    pub bytes: &'a [u8],
    /// Its length in bytes; of a frame that was cut when it was read, or dropped before, it is the least that it can be.
    pub len: usize,
    /// Why it was dropped, unless it was delivered.
    pub dropped: Option<DropReason>,
}

impl Tape {
    /// A tape with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many frames are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes the frames on it take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The frames, in order.
    pub fn frames(&self) -> impl Iterator<Item = Taped<'_>> {
        let starts = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.end));
        starts.zip(&self.entries).map(|(start, entry)| Taped {
            bytes: self.bytes.get(start..entry.end).unwrap_or_default(),
            len: entry.len,
            dropped: entry.dropped,
        })
    }

    /// Takes all frames off it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds a frame of `len` bytes, of which these are known.
    pub(super) fn push(&mut self, known: &[u8], len: usize, dropped: Option<DropReason>) {
        self.push_with(|bytes| bytes.extend_from_slice(known), len, dropped);
    }

    /// The same for bytes that `copy` appends, and returns.
    pub(super) fn push_with(
        &mut self,
        copy: impl FnOnce(&mut Vec<u8>),
        len: usize,
        dropped: Option<DropReason>,
    ) -> &[u8] {
        let start = self.bytes.len();
        copy(&mut self.bytes);
        self.entries.push(Entry { end: self.bytes.len(), len, dropped });
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Adds the frames of another tape from number `first` on.
    pub(super) fn append(&mut self, other: &Self, first: usize) {
        for frame in other.frames().skip(first) {
            self.push(frame.bytes, frame.len, frame.dropped);
        }
    }
}
