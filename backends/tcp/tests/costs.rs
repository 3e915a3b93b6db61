//! What costs nothing: idle and stalled connections.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::Write;
use std::time::{Duration, Instant};

use netrx::{Features, FrameSource, Progress};
use netrx_mock::Shape;
use netrx_tcp::Promotion;

use bare::{Bare, FIRST, HEADERS, QUIET, ack, pair, payload, promotion};

/// Bytes of a turn, as the source documents it.
const TURN: usize = 256 << 10;

/// What may be cut off the time of a wait: libkqueue takes whole milliseconds.
const CUT: Duration = Duration::from_millis(1);

/// Turns and waits for so long; how many waits ended before that, and how many frames came.
fn watch(bare: &mut Bare, time: Duration) -> (usize, usize) {
    let (until, mut wakes, mut frames) = (Instant::now() + time, 0, 0);
    while Instant::now() < until {
        let (progress, came) = bare.turn();
        frames += came.len();
        if progress == Progress::Idle {
            bare.source.wait(Some(until)).expect("it waits");
            wakes += usize::from(Instant::now() + CUT < until);
        }
    }
    (wakes, frames)
}

#[test]
fn idle_connections_wake_nobody() {
    let mut bare = Bare::new(100);
    let connections: Vec<_> = (0..100).map(|_| bare.connect(1000)).collect();
    bare.pass();
    watch(&mut bare, QUIET);
    assert_eq!(watch(&mut bare, QUIET), (0, 0), "only the time ends the wait");
    assert_eq!(bare.source.due(), None);
    drop(connections);
}

#[test]
fn a_stalled_connection_wakes_once_however_much_comes() {
    // In flight and unacknowledged, or shut out: neither is to be woken for what comes.
    for window in [1000, 0] {
        let mut bare = Bare::new(4);
        let (connection, mut far) = bare.connect(window);
        far.write_all(&[1; 1000]).expect("it is open");
        bare.pass();
        if window > 0 {
            bare.frames(|frames| !frames.is_empty());
        }
        let writer = std::thread::spawn(move || {
            for _ in 0..100 {
                far.write_all(&[2; 100]).expect("the system has room");
                std::thread::sleep(Duration::from_millis(1));
            }
            far
        });
        // Less than the first timeout, which is a second.
        let (wakes, frames) = watch(&mut bare, Duration::from_millis(500));
        assert!(wakes <= 2 && frames == 0, "{wakes} wakes, {frames} frames");
        let far = writer.join().expect("the writer is well");
        // And it goes on where it stopped, once there is a window.
        connection.segment(&ack(FIRST + window, 20_000)).expect("it is alive");
        bare.frames(|frames| payload(frames) == 11_000 - window as usize);
        drop((connection, far));
    }
}

#[test]
fn a_stalled_connection_does_not_hold_up_others() {
    let mut bare = Bare::new(4);
    let (_stalled, mut far) = bare.connect(0);
    far.write_all(&[1; 100_000]).expect("the system has room");
    let (running, mut far) = bare.connect(60_000);
    far.write_all(&[2; 50_000]).expect("the system has room");
    let frames = bare.acknowledged(&running, 60_000, |frames| payload(frames) == 50_000);
    assert!(frames.iter().all(|frame| frame[HEADERS] == 2));
    assert_eq!(running.next(), FIRST + 50_000);
}

/// Writes bytes of this value until the system buffers no more; how many that was.
fn fill(far: &mut std::net::TcpStream, value: u8) -> usize {
    let piece = [value; 64 << 10];
    far.set_nonblocking(true).expect("it can be told");
    let mut total = 0;
    while let Ok(written) = far.write(&piece) {
        total += written;
    }
    total
}

#[test]
fn connections_share_by_bytes() {
    let features = Features::VERSION_1 | Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::MRG_RXBUF;
    let mut bare = Bare::with(4, features, Shape::single(60_000));
    let (mut flows, mut backlog) = (Vec::new(), usize::MAX);
    for number in 0..3 {
        let (near, mut far) = pair();
        backlog = backlog.min(fill(&mut far, number));
        let promotion = Promotion { scale: 5, ..promotion(near, 1 << 20) };
        flows.push((bare.promoter.promote(promotion).expect("it is taken over"), far));
    }
    assert!(backlog > 3 * TURN, "the system buffers {backlog} bytes: too few to tell");
    // One of them takes little at a time.
    let windows = [1 << 15, 1 << 15, 600];
    let mut bytes = [0_usize; 3];
    while bytes.iter().all(|bytes| *bytes < backlog) {
        for frame in bare.turn().1 {
            bytes[usize::from(frame[HEADERS])] += frame.len() - HEADERS;
        }
        for ((flow, _), window) in flows.iter().zip(windows) {
            flow.segment(&ack(flow.next(), window)).expect("it was sent");
        }
        assert!(bytes[0].abs_diff(bytes[1]) <= 2 * TURN, "{bytes:?}");
    }
    assert!(bytes[2] > TURN / 4, "and the small one has its turns, too: {bytes:?}");
}
