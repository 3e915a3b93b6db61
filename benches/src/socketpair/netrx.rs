//! netrx, through its socketpair source: frames go from the socket straight into guest buffers.

#![allow(unsafe_code, reason = "duplicates a descriptor that the bench lends")]

use std::os::fd::BorrowedFd;
use std::time::Instant;

use netrx::Engine;
use netrx_socketpair::SocketSource;

use super::{Burst, MOST, Reader};
use crate::Result;
use crate::guest::netrx::{Count, FEATURES, engine};
use crate::guest::{Driver, RamMap};
use crate::peer::Peer;
use crate::subject::Subject;

struct Netrx {
    driver: Driver,
    engine: Engine<RamMap, Count>,
    longest: usize,
    source: Option<SocketSource>,
    raised: u64,
}

/// Always there. It looks for one frame more than wait, in the same call; the others know how many there are.
pub(super) fn subject(driver: Driver, longest: usize) -> Result<Option<Reader>> {
    let engine = engine(&driver, FEATURES, MOST as u32)?;
    Ok(Some(Box::new(Netrx { driver, engine, longest, source: None, raised: 0 })))
}

impl Netrx {
    /// A source over the bench's socket, which is the same at every call.
    fn source(&mut self, burst: &Burst) -> Option<&mut SocketSource> {
        if self.source.is_none() {
            // SAFETY: the bench's socket is open for the length of this call.
            let socket = unsafe { BorrowedFd::borrow_raw(burst.socket) }.try_clone_to_owned().ok()?;
            self.source = SocketSource::with_largest(socket, self.longest).ok();
        }
        self.source.as_mut()
    }
}

impl Subject<Burst> for Netrx {
    fn peer(&self) -> Peer {
        Peer::Netrx
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, burst: &Burst) -> u32 {
        self.source(burst);
        let Some(source) = self.source.as_mut() else { return 0 };
        // Whatever goes wrong shows as buffers that do not come back.
        let _ = self.engine.poll(source, Instant::now());
        let raised = self.engine.counters().snapshot().irqs_raised;
        (raised - std::mem::replace(&mut self.raised, raised)) as u32
    }
}
