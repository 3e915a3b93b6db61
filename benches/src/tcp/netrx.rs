//! netrx, through its source of promoted connections.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use netrx::{Engine, Features};
use netrx_tcp::{Connection, Ended, Promoter, Promotion, Segment, TcpSource};

use super::guest::{GUEST_SEQ, SCALE, WINDOW, promotion};
use super::{Buffers, FRAMES, Flows, MSS, Puller};
use crate::Result;
use crate::guest::netrx::{Count, FEATURES, engine};
use crate::guest::{Driver, RamMap};
use crate::peer::Peer;

/// What the guest acknowledges here.
pub(super) const OFFLOADS: Features =
    Features(FEATURES.0 | Features::MRG_RXBUF.0 | Features::GUEST_CSUM.0 | Features::GUEST_TSO4.0);

struct Netrx {
    driver: Driver,
    engine: Engine<RamMap, Count>,
    source: TcpSource,
    connections: Vec<Connection>,
    flows: Flows,
    buffers: Buffers,
    _promoter: Promoter,
    _ends: Receiver<Ended>,
}

pub(super) fn subject(driver: Driver, flows: Flows, buffers: Buffers) -> Result<Box<dyn Puller>> {
    let engine = engine(&driver, OFFLOADS, FRAMES as u32)?;
    let (source, promoter, ends) = TcpSource::new(flows.near.len())?;
    let promote = |(number, stream): (u16, &std::net::TcpStream)| -> Result<Connection> {
        let promotion = Promotion { mss: MSS, ..promotion(stream.try_clone()?, number) };
        Ok(promoter.promote(promotion)?)
    };
    let connections = (0..).zip(&flows.near).map(promote).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(Netrx {
        driver,
        engine,
        source,
        connections,
        flows,
        buffers,
        _promoter: promoter,
        _ends: ends,
    }))
}

impl Netrx {
    fn poll(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let polled = self.engine.poll(&mut self.source, start);
        let took = start.elapsed();
        let _progress = polled?;
        Ok(took)
    }
}

impl Puller for Netrx {
    fn peer(&self) -> Peer {
        Peer::Netrx
    }

    fn pass(&mut self) -> Result<Duration> {
        self.flows.fill()?;
        let injecting = self.poll()?;
        let heads = (FRAMES * self.buffers.span) as u16;
        self.driver.collect(heads)?;
        self.driver.post(heads);
        for connection in &self.connections {
            let window = (WINDOW >> SCALE) as u16;
            let ack = Segment { seq: GUEST_SEQ, ack: connection.next(), window, ..Segment::default() };
            connection.segment(&ack)?;
        }
        Ok(injecting + self.poll()?)
    }
}
