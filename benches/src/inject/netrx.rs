//! netrx, through its public engine: a source that has its frames.
//!
//! `netrx` gives them in bursts, `netrx-put` one by one.

use std::marker::PhantomData;
use std::task::Waker;
use std::time::Instant;

use netrx::{Engine, Features, FrameMeta, FrameSource, Placed, Received, RxSpace, SourceError};

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::netrx::{Count, FEATURES, engine};
use crate::guest::{Driver, RamMap};
use crate::peer::Peer;
use crate::subject::{BURST, Subject};

/// How a source gives its frames.
trait Give: Send + 'static {
    const PEER: Peer;

    /// Gives the frames from the first on; says how many it is rid of.
    fn give<'f>(space: &mut RxSpace<'_>, frames: impl Iterator<Item = &'f [u8]>) -> usize;
}

struct Bursts;
struct OneByOne;

struct Netrx<G> {
    driver: Driver,
    engine: Engine<RamMap, Count>,
    raised: u64,
    give: PhantomData<G>,
}

/// In bursts: can do every case.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build::<Bursts>(case, driver)
}

/// One by one: can do every case.
pub(super) fn put_subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build::<OneByOne>(case, driver)
}

fn build<G: Give>(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    let features = if case.spans > 1 { FEATURES | Features::MRG_RXBUF } else { FEATURES };
    let engine = engine(&driver, features, u32::MAX)?;
    Ok(Some(Box::new(Netrx { driver, engine, raised: 0, give: PhantomData::<G> })))
}

impl Give for Bursts {
    const PEER: Peer = Peer::Netrx;

    fn give<'f>(space: &mut RxSpace<'_>, frames: impl Iterator<Item = &'f [u8]>) -> usize {
        space.put_burst(frames)
    }
}

impl Give for OneByOne {
    const PEER: Peer = Peer::NetrxPut;

    fn give<'f>(space: &mut RxSpace<'_>, frames: impl Iterator<Item = &'f [u8]>) -> usize {
        frames.take_while(|frame| space.put(frame, FrameMeta::PLAIN) != Placed::NoRoom).count()
    }
}

/// The frames of one pass; says after each burst that there are more, so that the engine ends a batch there.
struct Pass<'f, G> {
    frames: &'f Frames,
    next: usize,
    give: PhantomData<G>,
}

impl<G: Give> FrameSource for Pass<'_, G> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> std::result::Result<Received, SourceError> {
        let end = self.frames.count().min(self.next + BURST);
        self.next += G::give(space, (self.next..end).map(|place| self.frames.at(place)));
        Ok(if self.next == self.frames.count() { Received::Empty } else { Received::More })
    }

    fn wait(&mut self, _until: Option<Instant>) -> std::result::Result<(), SourceError> {
        Ok(())
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

impl<G: Give> Subject<Frames> for Netrx<G> {
    fn peer(&self) -> Peer {
        G::PEER
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        // Whatever goes wrong shows as buffers that do not come back.
        let _ = self.engine.poll(&mut Pass { frames, next: 0, give: PhantomData::<G> }, Instant::now());
        let raised = self.engine.counters().snapshot().irqs_raised;
        (raised - std::mem::replace(&mut self.raised, raised)) as u32
    }
}
