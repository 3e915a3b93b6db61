//! A guest that posts no buffers: what is said of connections is heard all the same.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use netrx::{Features, RxConfig, RxWorkerSlot};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape, eventually};
use netrx_tcp::{End, Segment, TcpSource};

use bare::{FIRST, QUIET, STUCK, ack, pair, promotion};

/// The far end of a connection whose near end is closed: what reading from it comes to.
fn closed(far: &mut TcpStream) -> ErrorKind {
    far.set_read_timeout(Some(STUCK)).expect("a time");
    match far.read(&mut [0; 16]) {
        Ok(0) => ErrorKind::UnexpectedEof,
        Ok(_) => ErrorKind::Other,
        Err(error) => error.kind(),
    }
}

#[test]
fn connections_that_end_free_their_sockets() {
    let (source, promoter, ends) = TcpSource::new(4).expect("descriptors");
    let memory = MockMemory::heap(&[1 << 20]);
    let features = Features::VERSION_1;
    let mut driver =
        FakeDriver::new(&memory, DriverConfig::new(16, features, Shape::single(2048))).expect("it fits");
    let slot = RxWorkerSlot::new("starved");
    slot.deposit_memory(memory);
    slot.deposit_irq(MockIrq::new().0);
    slot.offer_source(0, source);
    let ring = driver.ring_config();
    slot.driver_ok(RxConfig { ring, features, engine: Default::default(), restored: false })
        .expect("it starts");
    let connect = || {
        let (near, far) = pair();
        (promoter.promote(promotion(near, 1000)).expect("it is taken over"), far)
    };

    let (reset, mut far) = connect();
    far.write_all(b"unread").expect("the system has room");
    thread::sleep(QUIET);
    reset.segment(&Segment { rst: true, ..ack(FIRST, 1000) }).expect("it was sent");
    assert_eq!(closed(&mut far), ErrorKind::ConnectionReset);
    let ended = ends.recv_timeout(STUCK).expect("the end is told");
    assert!(matches!(ended.end, End::ResetByGuest), "{ended:?}");

    let (dropped, mut far) = connect();
    drop(dropped);
    assert_eq!(closed(&mut far), ErrorKind::UnexpectedEof);
    assert!(ends.try_recv().is_err(), "the guest has not heard of it");

    // The guest has a buffer for that reset, and for each frame that is due; then it has none again.
    driver.post(1);
    slot.kick();
    let ended = ends.recv_timeout(STUCK).expect("the guest was told");
    assert!(matches!(ended.end, End::Abandoned), "{ended:?}");
    let (finished, far) = connect();
    driver.post(1);
    slot.kick();
    finished.segment(&Segment { fin: true, ..ack(FIRST, 1000) }).expect("it was sent");
    finished.received(78, 1000).expect("it lives");
    let mut frames = 0;
    eventually("the acknowledgement comes after the reset", || {
        frames += driver.drain_frames().map_or(0, |frames| frames.len());
        frames == 2
    });
    driver.post(1);
    slot.kick();
    far.shutdown(Shutdown::Write).expect("it is open");
    eventually("the end comes", || finished.next() == FIRST + 1);
    finished.segment(&Segment { seq: 78, ..ack(FIRST + 1, 1000) }).expect("it was sent");
    let ended = ends.recv_timeout(STUCK).expect("the end is told");
    assert!(matches!(ended.end, End::Finished), "{ended:?}");
}
