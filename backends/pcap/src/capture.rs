//! A capture in memory.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::CaptureError;
use crate::parse;

/// The frames of a capture file, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// All frames, one after the other.
    bytes: Vec<u8>,
    records: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Record {
    range: Range<usize>,
    time: Option<Duration>,
}

/// A packet as it is in a file.
pub(crate) struct Packet<'p> {
    /// What was captured of it: all, or its beginning.
    pub(crate) bytes: &'p [u8],
    /// How many bytes it had.
    pub(crate) original: u32,
    /// How many of these, at the end, are a check sequence.
    pub(crate) fcs: u32,
    pub(crate) time: Option<Duration>,
}

impl<'p> Packet<'p> {
    /// The frame without its check sequence, if all of it was captured.
    fn frame(&self) -> Option<&'p [u8]> {
        let [original, fcs] = [self.original, self.fcs].map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        self.bytes.get(..original.max(self.bytes.len()).saturating_sub(fcs))
    }
}

/// A frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'c> {
    /// Its bytes, without a check sequence.
    pub bytes: &'c [u8],
    /// When it was captured, counted from 1970, if the file says.
    pub time: Option<Duration>,
}

impl Capture {
    /// Reads a file as a whole.
    ///
    /// # Errors
    /// When it cannot be read, or is not a sound capture of Ethernet frames.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let (mut file, mut bytes) = (File::open(path).map_err(CaptureError::Read)?, Vec::new());
        (&mut file).take(parse::MAGIC).read_to_end(&mut bytes).map_err(CaptureError::Read)?;
        // What begins otherwise may never end.
        let parser = parse::parser(&bytes)?;
        file.read_to_end(&mut bytes).map_err(CaptureError::Read)?;
        parser(&bytes)
    }

    /// The capture in a file's bytes.
    ///
    /// # Errors
    /// When it is not a sound capture of Ethernet frames.
    pub fn parse(file: &[u8]) -> Result<Self, CaptureError> {
        parse::parser(file)?(file)
    }

    /// How many frames it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Frame `index`, counted from 0.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<Frame<'_>> {
        let record = self.records.get(index)?;
        Some(Frame { bytes: self.bytes.get(record.range.clone())?, time: record.time })
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        (0..self.len()).filter_map(|index| self.frame(index))
    }

    /// The bytes of frame `index` and of all after it.
    pub(crate) fn bytes_from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let records = self.records.get(index..).unwrap_or_default();
        records.iter().filter_map(|record| self.bytes.get(record.range.clone()))
    }

    /// How long the longest frame is, in bytes; 0 if there is none.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.records.iter().map(|record| record.range.len()).max().unwrap_or(0)
    }

    /// Appends a packet's frame, all of which must be there.
    pub(crate) fn push(&mut self, packet: Packet<'_>) -> Result<(), CaptureError> {
        let Some(frame) = packet.frame() else {
            let (captured, original) = (packet.bytes.len(), packet.original);
            return Err(CaptureError::CutFrame { number: self.len() + 1, captured, original });
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        self.records.push(Record { range: start..self.bytes.len(), time: packet.time });
        Ok(())
    }
}
