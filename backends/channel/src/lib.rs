//! Frames out of a crossbeam channel.
//!
//! ```text
//! any thread --Sender::send--> channel --ChannelSource::recv--> guest
//!                                 |  ^
//!                    pending <----+  +--- full: the channel's own bound blocks or refuses the sender
//! ```
//!
//! 1. Somebody makes a channel of frames: anything that is `AsRef<[u8]>`, or a [`Tagged`] one with its metadata.
//! 2. [`ChannelSource::new`] takes the receiving end. The senders are plain `Sender`s and need to know nothing of it.
//! 3. The worker moves frames into the guest. One that has no room stays behind, as [`ChannelSource::pending`], and is
//!    the first of the next turn.
//! 4. When all senders are gone and the last frame is delivered, the source closes.
//!
//! # Capacity
//! A source never drops a frame and never queues more than one beyond the channel. While the guest posts no buffers,
//! the channel fills up, and then its own bound decides: `send` on a full bounded channel blocks, `try_send` returns
//! the frame to the sender, and an unbounded channel grows. So `bounded(n)` holds back `n + 1` frames at most: `n` in
//! the channel, one pending.
//!
//! # Example
//! ```
//! use crossbeam_channel::bounded;
//! use netrx_channel::ChannelSource;
//!
//! let (frames, receiver) = bounded::<Vec<u8>>(256);
//! let source = ChannelSource::new(receiver); // to be offered to an `RxWorkerSlot`
//! assert!(frames.try_send(vec![0; 60]).is_ok());
//! # drop(source);
//! ```

mod bridge;
mod frame;
mod source;

pub use frame::{Frame, Tagged};
pub use source::ChannelSource;
