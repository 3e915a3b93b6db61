//! Frames out of a capture file.
//!
//! ```text
//! file --Capture::open--> Capture --CaptureSource::recv--> guest
//!                                        |
//!                                        +--after the last frame: closed, or from the first one again
//! ```
//!
//! 1. [`Capture::open`] reads a pcapng or pcap file of Ethernet frames as a whole; what is wrong with a file shows
//!    here, as a [`CaptureError`], and never later.
//! 2. [`CaptureSource::new`] replays it once, as fast as the guest takes it; [`repeated`](CaptureSource::repeated) does
//!    so without end, and [`limited_to`](CaptureSource::limited_to) ends it after a number of frames.
//! 3. While the guest has no room the source stands still. After its last frame it closes.
//!
//! Every frame is plain: a capture file holds no virtio-net headers, and offloads are never guessed from a frame's
//! bytes. Where the file says that frames end in a check sequence, it is taken off. A file with a frame that was cut when it
//! was captured is refused, unless only the check sequence was. Times are kept, but not replayed.
//!
//! # Example
//! ```no_run
//! use netrx_pcap::{Capture, CaptureSource};
//!
//! let capture = Capture::open("traffic.pcapng")?;
//! let source = CaptureSource::new(capture).repeated().limited_to(100_000); // to be offered to an `RxWorkerSlot`
//! # drop(source);
//! # Ok::<(), netrx_pcap::CaptureError>(())
//! ```

mod capture;
mod error;
mod fcs;
mod parse;
mod source;

pub use capture::{Capture, Frame};
pub use error::CaptureError;
pub use source::CaptureSource;
