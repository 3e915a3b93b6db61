//! What a driver from elsewhere owes the device and has forgotten, seen in the guest's memory.
//!
//! It stores its index and then looks for the device's wish without a barrier between the two; a processor may swap them,
//! and then the driver does not kick though it should. Behind a barrier the wish can be looked at once more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netrx::Gpa;
use netrx::spec::ring::USED_NO_NOTIFY;

use super::hal;
use super::rig::RECEIVE;

/// The receive queue, as the driver set it up, and its kicks. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Queue>>);

#[derive(Clone, Copy, Default)]
struct Queue {
    size: u32,
    avail: Gpa,
    used: Gpa,
    /// The driver's index when it last kicked.
    told: u16,
}

impl Watch {
    /// The driver sets a queue up.
    pub(crate) fn set_up(&self, queue: u16, size: u32, avail: u64, used: u64) {
        if u32::from(queue) == RECEIVE {
            *self.queue() = Queue { size, avail: Gpa(avail), used: Gpa(used), told: 0 };
        }
    }

    /// The driver is about to kick.
    pub(crate) fn kicks(&self, queue: u16) {
        if u32::from(queue) == RECEIVE {
            let mut queue = self.queue();
            queue.told = queue.posted();
        }
    }

    /// Whether the device waits for a kick for what was posted, and got none. The caller puts the barrier before.
    pub(crate) fn owes_a_kick(&self, by_event_index: bool) -> bool {
        let queue = *self.queue();
        if by_event_index {
            let wish = hal::load(Gpa(queue.used.0 + 4 + 8 * u64::from(queue.size)));
            let is_behind = |index: u16| index.wrapping_sub(wish).cast_signed() > 0;
            is_behind(queue.posted()) && !is_behind(queue.told)
        } else {
            hal::load(queue.used) & USED_NO_NOTIFY == 0 && queue.told != queue.posted()
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// How many buffers were posted, modulo 2^16.
    fn posted(&self) -> u16 {
        hal::load(Gpa(self.avail.0 + 2))
    }
}
