//! Resets: a host's while the datapath writes, and others' in the guest's name.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use netrx_tcp::{Connection, End, Segment};
use rustix::net::sockopt::set_socket_linger;

use bare::{Bare, EXPECTED, FIRST, RECEIVE_WINDOW, STUCK, ack, flags, pair, payload, promotion};

const FIN: u8 = 1;
const RST: u8 = 4;

/// A connection of 100 bytes, which the guest has, the datapath's clone of its stream, and the far end.
fn connected(bare: &mut Bare) -> (Connection, TcpStream, TcpStream) {
    let (near, mut far) = pair();
    let clone = near.try_clone().expect("a descriptor");
    let connection = bare.promoter.promote(promotion(near, 1000)).expect("it is taken over");
    far.write_all(&[1; 100]).expect("it is open");
    bare.frames(|frames| !frames.is_empty());
    connection.segment(&ack(FIRST + 100, 1000)).expect("it was sent");
    (connection, clone, far)
}

/// Whoever asks first is told of a reset; the other sees an end, unless the system says more.
#[test]
fn a_reset_that_the_datapath_was_told_of_is_no_end() {
    if !cfg!(tcp_state) {
        return;
    }
    let mut bare = Bare::new(1);
    let (_connection, mut clone, far) = connected(&mut bare);
    set_socket_linger(&far, Some(Duration::ZERO)).expect("it can be told");
    drop(far);
    let begin = Instant::now();
    let error = loop {
        assert!(begin.elapsed() < STUCK, "the reset comes");
        if let Err(error) = clone.write(&[2]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let frames = bare.frames(|frames| frames.iter().any(|frame| flags(frame) & (FIN | RST) != 0));
    assert!(frames.iter().all(|frame| flags(frame) & FIN == 0), "it is not told that this is all");
    let end = bare.end().end;
    assert!(matches!(&end, End::Failed(error) if error.kind() == ErrorKind::ConnectionReset), "{end:?}");
}

#[test]
fn an_end_after_the_guests_is_no_reset() {
    let mut bare = Bare::new(1);
    let (connection, clone, far) = connected(&mut bare);
    connection.segment(&Segment { fin: true, ..ack(FIRST + 100, 1000) }).expect("it was sent");
    connection.received(78, 1000).expect("it is alive");
    clone.shutdown(Shutdown::Write).expect("it is open");
    far.shutdown(Shutdown::Write).expect("it is open");
    // Both ends are shut before the source looks.
    std::thread::sleep(Duration::from_millis(20));
    let frames = bare.frames(|frames| frames.iter().any(|frame| flags(frame) & (FIN | RST) != 0));
    assert!(frames.iter().all(|frame| flags(frame) & RST == 0));
    connection.segment(&Segment { seq: 78, ..ack(FIRST + 101, 1000) }).expect("it was sent");
    assert!(matches!(bare.end().end, End::Finished));
}

/// Another process of the guest's may send whatever it likes, but does not know the numbers.
#[test]
fn resets_and_ends_of_others_are_not_believed() {
    let mut bare = Bare::new(1);
    let (connection, _clone, mut far) = connected(&mut bare);
    for seq in [0, EXPECTED - 1, EXPECTED + RECEIVE_WINDOW + 1] {
        connection.segment(&Segment { rst: true, seq, ..ack(0, 0) }).expect("it is dropped");
    }
    connection.segment(&Segment { fin: true, seq: 0, ..ack(FIRST + 100, 1000) }).expect("it is alive");
    far.write_all(&[2; 100]).expect("it is open");
    let frames = bare.frames(|frames| payload(frames) == 100);
    assert!(frames.iter().all(|frame| flags(frame) & (FIN | RST) == 0));
    // Its window shuts: there is one number left.
    connection.received(EXPECTED + 500, 0).expect("it is alive");
    connection.segment(&Segment { rst: true, seq: EXPECTED + 501, ..ack(0, 0) }).expect("it is dropped");
    bare.pass();
    assert_eq!(bare.source.connections(), 1);
    connection.segment(&Segment { rst: true, seq: EXPECTED + 500, ..ack(0, 0) }).expect("it is alive");
    assert!(matches!(bare.end().end, End::ResetByGuest));
}
