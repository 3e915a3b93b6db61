//! What the consumer decides about an engine.

use super::Moderation;

/// What the consumer decides about an engine; the defaults suit a VMM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// What to do with frames while the guest has no room.
    pub when_full: WhenFull,
    /// How interrupts are held back under load.
    pub moderation: Moderation,
    /// How much work one turn may do.
    pub budget: Budget,
}

/// What to do with frames while the guest has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Leave them in the source until there is room: nothing is lost, and the sender feels it. A frame over more merged
    /// buffers than the guest has posted waits, too, unless the guest has no room in its ring to post more.
    #[default]
    Wait,
    /// Take them and drop them, counted as [`RingFull`](crate::DropReason::RingFull): the sender is never held up. Those of a
    /// source that [keeps](crate::RxSpace::keeping) them wait.
    DropNewest,
}

/// How much work one turn may do, in the units that cost time. At least one frame is always allowed.
///
/// However much that is, a turn looks at 65536 descriptors at the most: the chains of a hostile guest may share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Frames, and chains of the guest's that made no sense.
    pub frames: u32,
    /// Bytes of frames; up to 31 further ones may follow the frame that reaches the limit.
    pub bytes: u64,
}

impl Default for Budget {
    /// 256 frames or 1 MiB: a turn of some tens of microseconds.
    fn default() -> Self {
        Self { frames: 256, bytes: 1 << 20 }
    }
}
