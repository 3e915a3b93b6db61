//! What is sent, and how it is known again.

use std::ops::Range;
use std::sync::Arc;

use netrx_mock::traffic;
use netrx_pcap::Capture;

/// An endless row of frames, each known by its number: 0 is sent first.
pub(crate) enum Traffic {
    /// The frames of a capture, over and over.
    Capture(Arc<Capture>),
    /// Frames that hold their number.
    Numbered {
        /// Their length in bytes.
        len: usize,
    },
}

/// A frame that is on its way.
pub(crate) enum Frame {
    Captured(Arc<Capture>, usize),
    Numbered(Vec<u8>),
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Captured(capture, index) => bytes(capture, *index),
            Self::Numbered(frame) => frame,
        }
    }
}

impl Traffic {
    /// Frame `number`.
    pub(crate) fn frame(&self, number: u64) -> Frame {
        match self {
            Self::Capture(capture) => Frame::Captured(Arc::clone(capture), index(capture, number)),
            Self::Numbered { len } => {
                let mut frame = Vec::new();
                traffic::make(number, *len, &mut frame);
                Frame::Numbered(frame)
            }
        }
    }

    /// How long the longest frame is, in bytes.
    pub(crate) fn longest(&self) -> usize {
        match self {
            Self::Capture(capture) => capture.longest(),
            Self::Numbered { len } => *len,
        }
    }

    /// The first number in `among` whose frame has these bytes, all of them and no others.
    pub(crate) fn find(&self, frame: &[u8], among: Range<u64>) -> Option<u64> {
        match self {
            Self::Capture(capture) => {
                // What is not found in one round is not in the next.
                let end = among.end.min(among.start.saturating_add(capture.len() as u64));
                (among.start..end).find(|number| bytes(capture, index(capture, *number)) == frame)
            }
            Self::Numbered { len } => {
                let number = traffic::number(frame).filter(|_| frame.len() == *len)?;
                among.contains(&number).then_some(number)
            }
        }
    }
}

/// Which frame of the capture is frame `number` of the row.
fn index(capture: &Capture, number: u64) -> usize {
    (number % capture.len().max(1) as u64) as usize
}

fn bytes(capture: &Capture, index: usize) -> &[u8] {
    capture.frame(index).map_or(&[], |frame| frame.bytes)
}
