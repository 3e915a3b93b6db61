//! Why a file cannot be replayed.

use std::error::Error;
use std::io;

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The system does not give it out.
    #[error("cannot read the file: {0}")]
    Read(#[source] io::Error),
    /// It is of another format, or of none.
    #[error("neither pcapng nor pcap")]
    NotACapture,
    /// It ends before it should.
    #[error("the file is cut off after frame {frames}")]
    CutOff {
        /// How many frames are whole.
        frames: usize,
    },
    /// A frame of it is not whole: the capture's snap length was less.
    #[error(
        "frame {number} was cut to {captured} of its {original} bytes when it was captured: capture again with a \
         larger snap length"
    )]
    CutFrame {
        /// Which frame, counted from 1.
        number: usize,
        /// How many of its bytes are in the file.
        captured: usize,
        /// How many it had.
        original: u32,
    },
    /// It contradicts its format.
    #[error("the file is damaged after frame {frames}: {cause}")]
    Damaged {
        /// How many frames come before that.
        frames: usize,
        /// What is wrong.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// Its frames are not Ethernet frames.
    #[error("link type {0} is not Ethernet (1)")]
    NotEthernet(u32),
}
