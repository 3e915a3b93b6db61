//! What the virtio specification fixes: feature bits, ring words, and the header in front of a frame.
//!
//! Pure and byte-level: no memory, no state. Section numbers are those of virtio 1.2.

mod features;
mod meta;
pub mod mmio;
mod net_hdr;
pub mod ring;

pub use features::Features;
pub use meta::{Checksum, FrameMeta, SegmentKind, Segmentation};
pub use net_hdr::{HeaderRules, NetHeader, OffloadError};

/// The shortest Ethernet frame there is, in bytes: two addresses and a type.
pub const MIN_FRAME: usize = 14;
