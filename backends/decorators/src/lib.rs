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
//!
//! Each is a [`FrameSource`](netrx::FrameSource) like those within, so they stack in any order. None of them takes a
//! frame that the guest has no room for, keeps frames of its own, or polls: a rate limit wakes up when held-back frames may
//! pass, and at no other time.
//!
//! # Example
//! ```
//! use netrx_decorators::{Limits, Rate, RateLimit};
//! # use std::num::NonZeroU64;
//! # let (source, _script) = netrx_mock::ScriptedSource::new();
//!
//! let (per_second, burst) = (NonZeroU64::new(125_000_000), NonZeroU64::new(1 << 20)); // 1 Gbit/s
//! let rate = per_second.zip(burst).map(|(per_second, burst)| Rate { per_second, burst });
//! let source = RateLimit::new(source, Limits { bytes: rate, frames: None }); // to be offered to an `RxWorkerSlot`
//! # drop(source);
//! ```

mod bell;
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
