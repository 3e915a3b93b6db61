//! Frames keep their boundaries, bytes and order, whatever the guest's buffers, and each is accounted for.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;
use std::thread;

use netrx::{DropReason, Features, Progress};
use netrx_mock::conformance::{self, Feeder};
use netrx_mock::{Shape, traffic};
use netrx_socketpair::{BATCH, DEFAULT_LARGEST, SocketSource};

use rig::{QUIET, STUCK, frame, guest, merged, numbers, plain_guest, whole};

struct Far(UnixDatagram);

impl Feeder for Far {
    fn send(&mut self, frame: &[u8]) {
        assert!(matches!(self.0.send(frame), Ok(len) if len == frame.len()), "the pair takes it whole");
    }
}

fn pair(largest: usize) -> (SocketSource, UnixDatagram) {
    SocketSource::pair(largest).expect("a pair")
}

#[test]
fn conformance_when_the_largest_frame_is_known() {
    conformance::source(|| {
        let (source, far) = pair(1514);
        (source, Far(far))
    });
}

#[test]
fn conformance_when_a_frame_may_be_huge() {
    conformance::source(|| {
        let (source, far) = pair(DEFAULT_LARGEST);
        (source, Far(far))
    });
}

// The descriptor of libkqueue's queues is never readable.
#[cfg(not(feature = "libkqueue"))]
#[test]
fn conformance_beside_other_sources() {
    conformance::watched_source(|| {
        let (source, far) = pair(1514);
        (source, Far(far))
    });
}

/// Sends frames of all sizes to a guest with such buffers, and compares every byte.
fn every_size(size: u16, features: Features, shape: Shape) {
    let (mut source, far) = pair(DEFAULT_LARGEST);
    let small = 14..200;
    let large = (200..DEFAULT_LARGEST).step_by(997);
    let lens: Vec<usize> = small.chain(large).chain([65_535, DEFAULT_LARGEST]).collect();
    let sent = lens.clone();
    let sender = thread::spawn(move || {
        for (number, len) in (0..).zip(sent) {
            far.send(&frame(number, len)).expect("the source is there");
        }
        far
    });
    let mut rig = guest(size, features, shape);
    let frames = rig.take(&mut source, lens.len()).expect("all come");
    for (number, (frame, len)) in (0..).zip(frames.iter().zip(&lens)) {
        assert_eq!(frame.len(), *len, "the length of frame {number}");
        assert!(traffic::is_frame(number, frame), "frame {number} of {len} bytes");
    }
    rig.check().expect("all is well");
    assert!(sender.join().is_ok());
}

#[test]
fn every_size_into_one_buffer_each() {
    every_size(16, Features::VERSION_1, Shape::single(65_562));
}

#[test]
fn every_size_into_chains() {
    every_size(64, Features::VERSION_1, Shape::chained(&[1, 11, 4096, 1, 61_453]));
}

#[test]
fn every_size_into_merged_buffers() {
    every_size(128, merged(), Shape::single(1526));
}

#[test]
fn every_size_into_merged_buffers_that_hold_barely_one() {
    every_size(64, merged(), Shape::chained(&[1, 2060]));
}

#[test]
fn more_frames_than_a_batch_come_in_one_turn() {
    let (mut source, far) = pair(1514);
    let count = BATCH as u64 + 10;
    for number in 0..count {
        far.send(&frame(number, 60)).expect("there is room");
    }
    let (progress, frames) = plain_guest().turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole(0..count)));
}

#[test]
fn a_frame_that_fits_no_buffer_is_counted_and_the_next_comes() {
    let (mut source, far) = pair(9014);
    let mut rig = guest(8, Features::VERSION_1, Shape::single(2048));
    for (number, len) in [(0, 60), (1, 2036), (2, 2037), (3, 9014), (4, 60)] {
        far.send(&frame(number, len)).expect("there is room");
    }
    let (progress, frames) = rig.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole([0, 1, 4])));
    assert_eq!((rig.stats().frames_taken, rig.stats().dropped(DropReason::TooLong)), (5, 2));
    rig.check().expect("all is well");
}

#[test]
fn a_frame_that_fits_no_ring_is_taken_off_the_socket() {
    let (mut source, far) = pair(9014);
    let mut rig = guest(4, merged(), Shape::single(1024));
    for (number, len) in [(0, 5000), (1, 4084), (2, 60)] {
        far.send(&frame(number, len)).expect("there is room");
    }
    let mut frames = rig.turn(&mut source).expect("a turn").1;
    frames.extend(rig.turn(&mut source).expect("a turn").1);
    assert_eq!(numbers(&frames), whole([1, 2]));
    assert_eq!((rig.stats().frames_taken, rig.stats().dropped(DropReason::TooLong)), (3, 1));
    rig.check().expect("all is well");
}

#[test]
fn a_frame_that_fits_later_is_not_cut() {
    let (mut source, far) = pair(DEFAULT_LARGEST);
    let mut rig = guest(8, merged(), Shape::single(1024));
    far.send(&frame(0, 60)).expect("there is room");
    far.send(&frame(1, 3000)).expect("there is room");
    rig.driver.post(3);
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
    assert_eq!(rig.stats().frames_taken, 1, "two buffers are left, and three are needed");
    assert_eq!(numbers(&rig.turn(&mut source).expect("a turn").1), whole([0, 1]));
    rig.check().expect("all is well");
}

#[test]
fn runts_are_counted() {
    let (mut source, far) = pair(1514);
    let mut rig = plain_guest();
    far.send(&[]).expect("there is room");
    far.send(&[0; 13]).expect("there is room");
    far.send(&frame(0, 60)).expect("there is room");
    far.send(&[]).expect("there is room");
    let (progress, frames) = rig.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole([0])));
    assert_eq!(rig.stats().dropped(DropReason::Runt), 3);
    rig.check().expect("all is well");
}

#[test]
fn a_batch_of_nothing_but_empty_datagrams_does_not_end_it() {
    let (mut source, far) = pair(1514);
    let mut rig = plain_guest();
    for _ in 0..=BATCH {
        far.send(&[]).expect("there is room");
    }
    far.send(&frame(0, 60)).expect("there is room");
    let (progress, frames) = rig.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole([0])));
    assert_eq!(rig.stats().dropped(DropReason::Runt), BATCH as u64 + 1);
}

#[test]
fn frames_that_the_guest_has_no_room_for_stay_in_the_socket() {
    let (mut source, far) = pair(1514);
    let mut rig = plain_guest();
    for number in 0..3 {
        far.send(&frame(number, 60)).expect("there is room");
    }
    rig.driver.post(1);
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
    assert_eq!(rig.engine.finish().stats.frames_taken, 1);
    let socket = UnixDatagram::from(source.into_socket());
    let mut bytes = [0; 2048];
    assert!(matches!(socket.recv(&mut bytes), Ok(60)) && traffic::is_frame(1, &bytes[..60]));
    let mut source = SocketSource::new(socket).expect("it is the same socket");
    assert_eq!(numbers(&plain_guest().turn(&mut source).expect("a turn").1), whole([2]));
}

#[test]
fn a_full_pair_refuses_the_sender() {
    let (mut source, far) = pair(1514);
    far.set_nonblocking(true).expect("it is a socket");
    let mut sent = 0;
    let refused = loop {
        match far.send(&frame(sent, 1514)) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    // The systems do not agree on what a full socket says.
    let full = refused.kind() == ErrorKind::WouldBlock || refused.raw_os_error() == Some(no_buffers());
    assert!(full && sent > 32, "after {sent} frames: {refused}");
    let mut rig = plain_guest();
    assert_eq!(numbers(&rig.take(&mut source, sent as usize).expect("all come")), whole(0..sent));
    rig.check().expect("all is well");
}

fn no_buffers() -> i32 {
    rustix::io::Errno::NOBUFS.raw_os_error()
}

#[test]
fn a_full_pair_blocks_the_sender() {
    const COUNT: u64 = 5000;
    let (mut source, far) = pair(1514);
    let (done, all_sent) = mpsc::channel();
    let sender = thread::spawn(move || {
        let all = (0..COUNT).all(|number| far.send(&frame(number, 1514)).is_ok());
        (done.send(all), far)
    });
    assert!(all_sent.recv_timeout(QUIET).is_err(), "nobody takes the frames");
    let mut rig = plain_guest();
    assert_eq!(numbers(&rig.take(&mut source, COUNT as usize).expect("all come")), whole(0..COUNT));
    assert_eq!(all_sent.recv_timeout(STUCK), Ok(true));
    rig.check().expect("all is well");
    assert!(sender.join().is_ok());
}
