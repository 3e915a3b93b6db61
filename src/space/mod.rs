//! The guest's room for frames: buffers that the ring has popped, and how frames are placed in them.
//!
//! ```text
//! ring --reserve--> Pool --RxSpace::put----> frame and header copied    --commit--> ring
//!                        --RxSpace::lend---> read in place, then `fill` --commit-->
//! ```
//!
//! A [`Pool`] holds the chains that were popped and not yet used, first in first out; they stay in it from turn to
//! turn, so no chain is walked twice. A source sees it as an [`RxSpace`] for the length of one
//! [`recv`](crate::FrameSource::recv).

mod lend;
mod place;
mod pool;
mod tally;

pub use lend::Lent;
pub use place::{Placed, RxSpace};
pub use pool::{Pool, Popped};
pub use tally::DropReason;

pub(crate) use place::{Limits, Refusal};
pub(crate) use tally::Tally;
