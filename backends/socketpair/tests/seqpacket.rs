//! Sockets that are connected, and so have an end. macOS has none between its processes.

#![cfg(seqpacket)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::os::fd::OwnedFd;

use netrx::{DropReason, FrameSource, Progress};
use netrx_mock::Shape;
use netrx_socketpair::SocketSource;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use rig::{frame, guest, merged, numbers, plain_guest, whole};

/// A connection-oriented pair.
fn seqpacket() -> (SocketSource, OwnedFd) {
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("the system has them");
    (SocketSource::with_largest(near, 1514).expect("it keeps boundaries"), far)
}

fn give(far: &OwnedFd, bytes: &[u8]) {
    assert_eq!(send(far, bytes, SendFlags::empty()), Ok(bytes.len()));
}

#[test]
fn a_closed_seqpacket_socket_ends_after_its_last_frame() {
    let (mut source, far) = seqpacket();
    for number in 0..3 {
        give(&far, &frame(number, 60));
    }
    drop(far);
    let mut rig = plain_guest();
    let (progress, frames) = rig.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Closed, whole(0..3)));
    assert_eq!(rig.stats().frames_dropped(), 0, "the end is not a frame");
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Closed, "it stays closed");
    source.wait(None).expect("and never sleeps");
}

#[test]
fn a_seqpacket_socket_ends_while_it_is_waited_for() {
    let (mut source, far) = seqpacket();
    let mut rig = plain_guest();
    assert_eq!(rig.turn(&mut source).expect("a turn").0, Progress::Idle);
    drop(far);
    source.wait(None).expect("the end ends a wait");
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Closed);
}

#[test]
fn the_end_is_seen_by_a_guest_with_little_room() {
    let (mut source, far) = seqpacket();
    give(&far, &frame(0, 60));
    drop(far);
    let mut rig = guest(2, merged(), Shape::single(256));
    let (progress, frames) = rig.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Closed, whole([0])));
}

#[test]
fn an_empty_message_is_no_end_while_the_far_end_is_there() {
    let (mut source, far) = seqpacket();
    give(&far, &[]);
    give(&far, &frame(0, 60));
    give(&far, &[]);
    let mut rig = guest(1, merged(), Shape::single(2048));
    let mut frames = rig.take(&mut source, 1).expect("all come");
    let (progress, more) = rig.turn(&mut source).expect("a turn");
    frames.extend(more);
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole([0])));
    assert_eq!(rig.stats().dropped(DropReason::Runt), 2);
    drop(far);
    assert_eq!(rig.turn(&mut source).expect("a turn").0, Progress::Closed);
}

#[test]
fn a_frame_behind_an_empty_message_is_not_lost_when_the_far_end_closes() {
    for between in 1..4 {
        let (mut source, far) = seqpacket();
        give(&far, &frame(0, 60));
        (0..between).for_each(|_| give(&far, &[]));
        give(&far, &frame(1, 60));
        drop(far);
        let mut rig = plain_guest();
        // The kernel fills both buffers, the second with nothing.
        rig.driver.post(2);
        assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
        let frames = rig.take(&mut source, usize::MAX).expect("all come");
        assert_eq!(numbers(&frames), whole([0, 1]), "{between} between");
        assert_eq!(rig.stats().dropped(DropReason::Runt), between);
        rig.check().expect("all is well");
    }
}

#[test]
fn a_reset_does_not_lose_what_was_sent_before() {
    let (mut source, far) = seqpacket();
    give(&far, &frame(0, 60));
    give(&far, &frame(1, 60));
    // What the far end did not read makes its end a reset.
    let near = rustix::io::fcntl_dupfd_cloexec(&source, 0).expect("a descriptor");
    give(&near, b"unread");
    drop(far);
    let mut rig = plain_guest();
    assert_eq!(numbers(&rig.take(&mut source, usize::MAX).expect("all come")), whole([0, 1]));
    rig.check().expect("all is well");
}
