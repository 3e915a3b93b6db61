//! netrx, through its public engine: a source that has its frames, in bursts.

use std::task::Waker;
use std::time::Instant;

use netrx::{Engine, Features, FrameSource, Received, RxSpace, SourceError};

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::netrx::{Count, FEATURES, engine};
use crate::guest::{Driver, RamMap};
use crate::peer::Peer;
use crate::subject::{BURST, Subject};

struct Netrx {
    driver: Driver,
    engine: Engine<RamMap, Count>,
    raised: u64,
}

/// Can do every case.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    let features = if case.spans > 1 { FEATURES | Features::MRG_RXBUF } else { FEATURES };
    let engine = engine(&driver, features, u32::MAX)?;
    Ok(Some(Box::new(Netrx { driver, engine, raised: 0 })))
}

/// The frames of one pass; says after each burst that there are more, so that the engine ends a batch there.
struct Pass<'f> {
    frames: &'f Frames,
    next: usize,
}

impl FrameSource for Pass<'_> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> std::result::Result<Received, SourceError> {
        let end = self.frames.count().min(self.next + BURST);
        self.next += space.put_burst((self.next..end).map(|place| self.frames.at(place)));
        Ok(if self.next == self.frames.count() { Received::Empty } else { Received::More })
    }

    fn wait(&mut self, _until: Option<Instant>) -> std::result::Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

impl Subject<Frames> for Netrx {
    fn peer(&self) -> Peer {
        Peer::Netrx
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        // Whatever goes wrong shows as buffers that do not come back.
        let _ = self.engine.poll(&mut Pass { frames, next: 0 }, Instant::now());
        let raised = self.engine.counters().snapshot().irqs_raised;
        (raised - std::mem::replace(&mut self.raised, raised)) as u32
    }
}
