//! netrx's worker: the public slot, fed by promoted connections.

use std::net::TcpStream;
use std::sync::Arc;

use netrx::worker::{RxConfig, RxWorkerSlot};
use netrx::{EngineConfig, IrqError, IrqLine};
use netrx_hvf::Nudging;
use netrx_tcp::{Segment, TcpSource};

use super::guest::{GUEST_SEQ, SCALE, WINDOW, promotion};
use super::load::{Line, Load};
use super::netrx::OFFLOADS;
use super::vcpu::exits;
use crate::Result;
use crate::guest::Driver;
use crate::guest::netrx::{memory, ring_config};
use crate::worker::IrqProbe;

struct Edge(Arc<IrqProbe>);

impl IrqLine for Edge {
    fn raise(&mut self) -> std::result::Result<(), IrqError> {
        self.0.raise();
        Ok(())
    }
}

/// Starts it through the public slot.
pub(super) fn start(driver: &Driver, line: Line, streams: Vec<TcpStream>) -> Result<Load> {
    let (source, promoter, ends) = TcpSource::new(streams.len())?;
    let slot = Arc::new(RxWorkerSlot::new("netrx-rx"));
    slot.deposit_memory(memory(driver)?);
    slot.deposit_irq(Nudging::new(Edge(line.irq), line.vcpus));
    slot.offer_source(0, source);
    let engine = EngineConfig::default();
    slot.driver_ok(RxConfig { ring: ring_config(driver), features: OFFLOADS, engine, restored: false })?;
    let mut connections = Vec::new();
    for (number, stream) in (0..).zip(streams) {
        connections.push(promoter.promote(promotion(stream, number))?);
    }
    let kicked = Arc::clone(&slot);
    let acknowledge = move |flow: usize, ack| {
        let window = (WINDOW >> SCALE) as u16;
        let segment = Segment { seq: GUEST_SEQ, ack, window, ..Segment::default() };
        // What is not taken shows as bytes that do not come.
        let _ = connections[flow].segment(&segment);
    };
    let before = exits();
    let stop = move || {
        slot.stop()?;
        drop((promoter, ends));
        Ok(exits() - before)
    };
    Ok(Load {
        kick: Box::new(move || kicked.kick()),
        acknowledge: Box::new(acknowledge),
        stop: Box::new(stop),
    })
}
