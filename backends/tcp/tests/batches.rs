//! How much comes at once, however much waits and whatever room the guest has.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::Write;
use std::net::TcpStream;

use netrx::engine::Budget;
use netrx::space::Limit;
use netrx::{EngineConfig, Features, FrameSource};
use netrx_mock::{DriverConfig, MockMemory, Rig, Shape, from_fn};
use netrx_tcp::{Connection, Promoter, TcpSource};

use bare::{HEADERS, pair, promotion};

/// Bytes after which a batch ends, and those of the read that may go beyond, as the source documents them.
const BATCH: usize = 1 << 20;
const READ: usize = 256 << 10;

const FLOWS: usize = 48;
/// Bytes that each flow has waiting, all of which its window has room for.
const WAITING: usize = 40_000;

/// A new connection with its bytes waiting; what keeps it alive.
fn promote(promoter: &Promoter) -> (Connection, TcpStream) {
    let (near, mut far) = pair();
    far.write_all(&[1; WAITING]).expect("the system has room");
    while near.peek(&mut [0; WAITING]).expect("it is open") < WAITING {}
    (promoter.promote(promotion(near, 60_000)).expect("it is taken over"), far)
}

#[test]
fn a_batch_ends_though_more_waits_and_the_guest_has_room() {
    let (mut source, promoter, _ends) = TcpSource::new(FLOWS).expect("descriptors");
    let _alive: Vec<_> = (0..FLOWS).map(|_| promote(&promoter)).collect();
    let features = Features::VERSION_1 | Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::MRG_RXBUF;
    let driver = DriverConfig::new(64, features, Shape::single(65_550));
    let engine = EngineConfig { budget: Budget { frames: u32::MAX, bytes: u64::MAX }, ..Default::default() };
    let mut rig = Rig::on(&MockMemory::heap(&[8 << 20]), driver, engine).expect("a guest");

    let mut batches = Vec::new();
    let mut measured = from_fn(|space| {
        let (received, taken) = space.within(Limit::NONE, |space| source.recv(space));
        batches.push(taken.bytes as usize);
        received.expect("nothing is fatal")
    });
    rig.drain(&mut measured).expect("all is well");
    let most = BATCH + READ + FLOWS * HEADERS;
    assert!(batches.iter().sum::<usize>() > most, "more was waiting: {batches:?}");
    assert!(batches.iter().all(|batch| *batch <= most), "no batch is larger: {batches:?}");
}
