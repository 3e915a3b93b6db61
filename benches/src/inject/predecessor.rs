//! The predecessor: `inject_one_frame` for each frame, `should_notify` for each burst, as its worker does.

#![allow(unsafe_code, reason = "its memory handle is made from a raw pointer")]

use std::sync::atomic::{Ordering, fence};

use arcbox_net_inject::guest_mem::GuestMemWriter;
use arcbox_net_inject::notify::should_notify;
use arcbox_net_inject::queue::{RxQueueConfig, inject_one_frame};

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::{Driver, GPA_BASE};
use crate::peer::Peer;
use crate::subject::{BURST, Subject};

struct Predecessor {
    driver: Driver,
    memory: GuestMemWriter,
    queue: RxQueueConfig,
    used: u16,
}

/// Cannot merge buffers.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    if case.spans > 1 {
        return Ok(None);
    }
    let (memory, queue) = parts(&driver);
    Ok(Some(Box::new(Predecessor { driver, memory, queue, used: 0 })))
}

/// The predecessor's view of a guest; the caller keeps the driver, and with it the memory, for longer.
pub(crate) fn parts(driver: &Driver) -> (GuestMemWriter, RxQueueConfig) {
    let (ram, layout) = (driver.ram(), driver.layout());
    // SAFETY: the mapping is `len` bytes long and outlives the handle, which the caller keeps beside the
    // driver.
    let memory = unsafe { GuestMemWriter::new(ram.host(GPA_BASE, ram.len()), ram.len(), GPA_BASE as usize) };
    let queue = RxQueueConfig {
        desc_gpa: layout.desc,
        avail_gpa: layout.avail,
        used_gpa: layout.used,
        size: layout.shape.size,
    };
    (memory, queue)
}

impl Subject<Frames> for Predecessor {
    fn peer(&self) -> Peer {
        Peer::Predecessor
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        let mut irqs = 0;
        for first in (0..frames.count()).step_by(BURST) {
            let old = self.used;
            for at in first..frames.count().min(first + BURST) {
                inject_one_frame(&self.memory, &self.queue, frames.at(at), &mut self.used);
            }
            fence(Ordering::AcqRel);
            let (avail, size) = (self.queue.avail_gpa, self.queue.size);
            irqs += u32::from(should_notify(&self.memory, avail, size, old, self.used));
        }
        irqs
    }
}
