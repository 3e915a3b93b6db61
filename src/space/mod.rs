//! The guest's room for frames, as a source sees it.
//!
//! A source that has its frames [`put`](RxSpace::put)s them; one that reads them has the ring
//! [`lend`](RxSpace::lend) its buffers. Either way a frame is in guest memory when the call returns, and its used entry
//! is staged; the guest sees all of a batch together, after [`recv`](crate::FrameSource::recv) has returned.
//!
//! A source around another one bounds and counts what that places [`within`](RxSpace::within) a limit, and sees the
//! frames themselves on a [`tape`](RxSpace::taped).

mod chains;
mod lend;
mod place;
mod tally;
mod tape;
mod within;

pub use lend::Lent;
pub use place::{Placed, RxSpace};
pub use tally::DropReason;
pub use tape::{Tape, Taped};
pub use within::{Limit, Taken};

pub(crate) use tally::Tally;
