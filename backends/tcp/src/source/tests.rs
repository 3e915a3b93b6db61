//! Systems that peek at no offset, on one that does.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what goes wrong fails the test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use netrx::{Features, Progress};
use netrx_mock::{DriverConfig, Rig, Shape};

use super::*;
use crate::sys;
use crate::{Endpoint, Promotion, Segment};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    (near, listener.accept().expect("it").0)
}

fn promotion(stream: TcpStream) -> Promotion {
    let end =
        |mac, addr: &str| Endpoint { mac: [2, 0, 0, 0, 0, mac], addr: addr.parse().expect("an address") };
    Promotion {
        stream,
        remote: end(1, "10.0.0.1:80"),
        guest: end(2, "10.0.0.2:4000"),
        next: 0,
        window: 60_000,
        scale: 0,
        mss: 1460,
        expected: 77,
        receive_window: 1000,
        receive_scale: 0,
    }
}

/// Sends bytes to a guest that loses every `lose`-th frame; what it got, and how much was sent again.
fn transfer(features: Features, shape: Shape, bytes: &[u8], lose: usize) -> (Vec<u8>, u64) {
    let (mut source, promoter, ends) = TcpSource::with(4, PeekFrom::TheFirst).expect("descriptors");
    let mut rig = Rig::new(DriverConfig::new(64, features, shape)).expect("a guest");
    let (near, mut far) = pair();
    let connection = promoter.promote(promotion(near)).expect("it is taken over");
    let (sent, mut got, mut frames) = (bytes.to_vec(), Vec::new(), 0);
    let sender = std::thread::spawn(move || far.write_all(&sent));
    loop {
        let (progress, came) = rig.turn(&mut source).expect("all is well");
        for frame in came {
            frames += 1;
            if frames % lose == 0 {
                continue;
            }
            let seq = u32::from_be_bytes(frame[38..42].try_into().expect("four bytes")) as usize;
            if (seq..seq + frame.len() - 54).contains(&got.len()) {
                got.extend_from_slice(&frame[54 + got.len() - seq..]);
            }
            let fin = u32::from(frame[47] & 1 == 1 && seq == got.len());
            let ack = Segment { seq: 77, ack: got.len() as u32 + fin, window: 60_000, ..Segment::default() };
            connection.segment(&ack).expect("it was sent");
            if fin == 1 {
                sender.join().expect("the sender is well").expect("all was sent");
                drop(connection);
                let _ = rig.poll(&mut source);
                return (got, ends.recv().expect("it has ended").counts.sent_again);
            }
        }
        if progress == Progress::Idle {
            source.wait(Some(Instant::now() + Duration::from_secs(2))).expect("it waits");
        }
    }
}

#[test]
fn every_byte_arrives_a_flight_at_a_time() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let offloads = Features::VERSION_1 | Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::MRG_RXBUF;
    for (features, lose) in [(Features::VERSION_1, 100), (offloads, 20), (offloads, usize::MAX)] {
        let (got, again) = transfer(features, Shape::single(4096), &bytes, lose);
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
        assert_eq!(again > 0, lose < usize::MAX);
    }
}

#[test]
fn reading_away_and_dropping_are_the_same() {
    let (near, mut far) = pair();
    far.write_all(b"0123456789").expect("it is open");
    assert_eq!(sys::read_away(near.as_fd(), 3).expect("they are there"), 3);
    assert_eq!(sys::discard(near.as_fd(), 4).expect("they are there"), 4);
    let mut left = [0; 3];
    (&near).read_exact(&mut left).expect("they are there");
    assert_eq!(&left, b"789");
}
