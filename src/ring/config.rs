//! A queue's registers, as the driver set them.

use super::Cursor;
use crate::mem::Gpa;
use crate::spec::Features;
use crate::spec::ring::{AVAIL_ALIGN, DESC_ALIGN, MAX_SIZE, USED_ALIGN};

/// A split queue's registers, as the driver set them by `DRIVER_OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// How many descriptors: a power of two from 1 to 32768.
    pub size: u16,
    /// The descriptor table, aligned to 16 bytes.
    pub desc: Gpa,
    /// The available ring (driver area), aligned to 2 bytes.
    pub avail: Gpa,
    /// The used ring (device area), aligned to 4 bytes.
    pub used: Gpa,
    /// Where to start: zero after a reset, what the snapshot says after a restore.
    pub start: Cursor,
}

impl RingConfig {
    /// Checks what does not depend on memory.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !self.size.is_power_of_two() || self.size > MAX_SIZE {
            return Err(ConfigError::Size(self.size));
        }
        let areas = [
            ("descriptor table", self.desc, DESC_ALIGN),
            ("available ring", self.avail, AVAIL_ALIGN),
            ("used ring", self.used, USED_ALIGN),
        ];
        if let Some((area, at, alignment)) = areas.into_iter().find(|(_, at, by)| !at.is_aligned(*by)) {
            return Err(ConfigError::Misaligned { area, at, alignment });
        }
        let Cursor { next_avail, next_used } = self.start;
        match next_avail.wrapping_sub(next_used) {
            held if held > self.size => Err(ConfigError::Start { next_avail, next_used, size: self.size }),
            _ => Ok(()),
        }
    }
}

/// Why a queue cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The size is 0, above 32768, or no power of two.
    #[error("a split queue of {0} descriptors: the size must be a power of two from 1 to 32768")]
    Size(u16),
    /// The size is above what the device told the driver that it may be (`QueueNumMax`).
    #[error("a split queue of {size} descriptors: the device offers at most {max}")]
    AboveMax {
        /// What the driver wrote.
        size: u32,
        /// What the device offers.
        max: u16,
    },
    /// The driver acknowledged features that change rings or headers in ways that are not served here.
    #[error("the driver acknowledged {0:?}, under which no queue is served here: do not offer it")]
    Features(Features),
    /// An area is not aligned as the specification demands.
    #[error("the {area} is at {at}, which is not aligned to {alignment} bytes")]
    Misaligned {
        /// Which area.
        area: &'static str,
        /// Where the driver put it.
        at: Gpa,
        /// The alignment needed, in bytes.
        alignment: u64,
    },
    /// The queue is to start behind more popped chains than it holds: such a snapshot is none of this queue's.
    #[error("a queue of {size} descriptors cannot stand at {next_avail} with {next_used} entries used")]
    Start {
        /// Index of the next available entry to pop.
        next_avail: u16,
        /// Index of the next used entry to write.
        next_used: u16,
        /// The queue's size.
        size: u16,
    },
    /// An area is not in guest memory.
    #[error(transparent)]
    Ring(#[from] super::RingError),
}
