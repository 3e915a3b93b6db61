//! Sources around other sources.
//!
//! ```text
//! source --+
//! source --+--Merge--> one source --RateLimit--> no faster than told --Capture--> guest
//! source --+                                                             |
//!                                                                        +--> pcapng
//! ```
//!
//! * [`RateLimit`] lets frames pass no faster than it is told to, in frames and in bytes.
//! * [`Capture`] copies what passes, and what is dropped, to a pcapng file; started and stopped while it runs.
//! * [`Merge`] makes one source of several, fair by bytes, of equal types or of different ones in boxes (Unix).
//!
//! Each is a [`FrameSource`](netrx::FrameSource) like those within, so they stack in any order. None of them takes a
//! frame that the guest has no room for, keeps frames of its own, or polls: a rate limit wakes up when held-back frames may
//! pass, and at no other time.
//!
//! # Example
//! ```
//! use netrx::FrameSource;
//! use netrx_decorators::{Capture, Limits, Merge, Rate, RateLimit};
//! # use std::num::NonZeroU64;
//! # let (uplink, _script) = netrx_mock::ScriptedSource::new();
//! # let (control, _script) = netrx_mock::ScriptedSource::new();
//!
//! let sources: [Box<dyn FrameSource>; 2] = [Box::new(uplink), Box::new(control)];
//! let merged = Merge::new(sources)?.on_end(|number, end| eprintln!("source {number}: {end:?}"));
//! let (per_second, burst) = (NonZeroU64::new(125_000_000), NonZeroU64::new(1 << 20)); // 1 Gbit/s
//! let rate = per_second.zip(burst).map(|(per_second, burst)| Rate { per_second, burst });
//! let limited = RateLimit::new(merged, Limits { bytes: rate, frames: None });
//! let (source, capture) = Capture::new(limited); // the source is to be offered to an `RxWorkerSlot`
//! # drop((source, capture));
//! # Ok::<(), std::io::Error>(())
//! ```

mod bucket;
mod capture;
#[cfg(unix)]
mod merge;
mod rate;

pub use bucket::Rate;
pub use capture::{Capture, CaptureError, CaptureHandle, Captured};
#[cfg(unix)]
pub use merge::{MemberEnd, Merge, MergeError, QUANTUM};
pub use rate::{Limits, RateLimit};
