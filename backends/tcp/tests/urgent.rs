//! A peer that sends urgent data (RFC 6093).

#![cfg(supported)]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what goes wrong fails the test")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use netrx::{Features, FrameSource, Progress};
use netrx_mock::{DriverConfig, Rig, Shape};
use netrx_tcp::{Connection, Endpoint, Promotion, Segment, TcpSource};
use rustix::net::{SendFlags, send};

struct Guest {
    source: TcpSource,
    rig: Rig,
    connection: Connection,
    got: Vec<u8>,
    acknowledges: bool,
}

impl Guest {
    fn new(features: Features, acknowledges: bool) -> (Self, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let far = listener.accept().expect("it").0;
        let (source, promoter, ends) = TcpSource::new(4).expect("descriptors");
        std::mem::forget(ends);
        let driver = DriverConfig::new(64, features, Shape::single(4096));
        let rig = Rig::new(driver).expect("a guest");
        let end = |mac, addr: &str| Endpoint { mac: [2, 0, 0, 0, 0, mac], addr: addr.parse().expect("one") };
        let promotion = Promotion {
            stream: near,
            remote: end(1, "10.0.0.1:80"),
            guest: end(2, "10.0.0.2:4000"),
            next: 0,
            window: 60_000,
            scale: 0,
            mss: 1460,
            expected: 77,
            receive_window: 1000,
            receive_scale: 0,
        };
        let connection = promoter.promote(promotion).expect("it is taken over");
        std::mem::forget(promoter);
        (Self { source, rig, connection, got: Vec::new(), acknowledges }, far)
    }

    /// What the guest has got in the end, if nothing more happens.
    fn settled(&mut self) -> String {
        let until = Instant::now() + Duration::from_millis(300);
        while Instant::now() < until {
            let (progress, frames) = self.rig.turn(&mut self.source).expect("all is well");
            for frame in frames {
                let seq = u32::from_be_bytes(frame[38..42].try_into().expect("four bytes")) as usize;
                if (seq..seq + frame.len() - 54).contains(&self.got.len()) {
                    self.got.extend_from_slice(&frame[54 + self.got.len() - seq..]);
                }
                if self.acknowledges {
                    let ack = self.got.len() as u32;
                    let ack = Segment { seq: 77, ack, window: 60_000, ..Segment::default() };
                    self.connection.segment(&ack).expect("it was sent");
                }
            }
            if progress == Progress::Idle {
                self.source.wait(Some(until)).expect("it waits");
            }
        }
        String::from_utf8_lossy(&self.got).into_owned()
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(30));
}

const OFFLOADS: Features =
    Features(Features::VERSION_1.0 | Features::GUEST_CSUM.0 | Features::GUEST_TSO4.0 | Features::MRG_RXBUF.0);

/// Whether the guest acknowledges what it gets. A flight at a time would be all that one gets who does not.
fn guests() -> impl Iterator<Item = bool> {
    [true, false].into_iter().filter(|acknowledges| *acknowledges || cfg!(peek_offset))
}

#[test]
fn what_comes_behind_an_urgent_byte_does_not_wait_for_more() {
    for features in [Features::VERSION_1, OFFLOADS] {
        for acknowledges in guests() {
            let (mut guest, mut far) = Guest::new(features, acknowledges);
            assert_eq!(guest.settled(), "");
            far.write_all(b"abc").expect("it is open");
            send(&far, b"X", SendFlags::OOB).expect("it is open");
            far.write_all(b"def").expect("it is open");
            pause();
            assert_eq!(guest.settled(), "abcXdef", "{features:?} {acknowledges}");
        }
    }
}

#[test]
fn no_byte_comes_twice_behind_an_urgent_one() {
    for features in [Features::VERSION_1, OFFLOADS] {
        for acknowledges in guests() {
            let (mut guest, mut far) = Guest::new(features, acknowledges);
            far.write_all(b"abc").expect("it is open");
            send(&far, b"X", SendFlags::OOB).expect("it is open");
            guest.settled();
            for more in ["def", "ghi", "jkl"] {
                far.write_all(more.as_bytes()).expect("it is open");
                guest.settled();
            }
            assert_eq!(guest.settled(), "abcXdefghijkl", "{features:?} {acknowledges}");
        }
    }
}
