//! What is refused when a source is made, and how it says so.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use netrx_socketpair::{Buffer, DEFAULT_LARGEST, SocketError, SocketSource, fit_buffers};
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_send_buffer_size, socket_recv_buffer_size,
};

use rig::{frame, guest, numbers, plain_guest, whole};

#[test]
fn what_is_no_socket_is_refused() {
    let error = SocketSource::new(File::open("/dev/null").expect("it is there")).expect_err("a file");
    assert!(matches!(error, SocketError::NotASocket), "{error:?}");
    assert_eq!(error.to_string(), "the descriptor is not a socket");
}

#[test]
fn a_stream_is_refused() {
    let (near, _far) = UnixStream::pair().expect("a pair");
    let error = SocketSource::new(near).expect_err("a stream");
    assert!(matches!(error, SocketError::Stream), "{error:?}");
    assert!(error.to_string().contains("SOCK_DGRAM"), "{error}");
}

#[test]
fn a_buffer_that_can_never_hold_the_frame_is_refused() {
    let (near, _far) = UnixDatagram::pair().expect("a pair");
    let huge = 1 << 30;
    let error = SocketSource::with_largest(near, huge).expect_err("a gigabyte");
    let SocketError::BufferTooSmall { buffer, have, largest } = error else {
        unreachable!("another error: {error}");
    };
    assert!(buffer == Buffer::Receive && largest == huge && have < huge);
    let text = error.to_string();
    assert!(text.contains("receive buffer") && text.contains(&have.to_string()), "{text}");
    assert!(SocketSource::pair(huge).is_err());
}

#[test]
fn a_small_receive_buffer_is_enlarged() {
    let (near, _far) = UnixDatagram::pair().expect("a pair");
    set_socket_recv_buffer_size(&near, 4096).expect("it may shrink");
    let source = SocketSource::new(near).expect("the system allows 64 KiB");
    assert!(socket_recv_buffer_size(&source).expect("a size") > DEFAULT_LARGEST);
}

#[test]
fn a_large_receive_buffer_is_left_alone() {
    let (near, _far) = UnixDatagram::pair().expect("a pair");
    let before = socket_recv_buffer_size(&near).expect("a size");
    let source = SocketSource::with_largest(near, 60).expect("it is large enough");
    assert_eq!(socket_recv_buffer_size(&source).expect("a size"), before);
}

#[test]
fn the_far_end_can_be_made_to_fit() {
    let (near, far) = UnixDatagram::pair().expect("a pair");
    let mut source = SocketSource::with_largest(near, 40_000).expect("it is large enough");
    set_socket_send_buffer_size(&far, 4096).expect("it may shrink");
    let refused = far.send(&frame(0, 40_000)).expect_err("larger than the send buffer");
    assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    fit_buffers(&far, 40_000).expect("the system allows it");
    far.send(&frame(0, 40_000)).expect("it fits");
    let mut rig = guest(4, netrx::Features::VERSION_1, netrx_mock::Shape::single(65_536));
    assert_eq!(numbers(&rig.turn(&mut source).expect("a turn").1), whole([0]));
}

#[test]
fn a_pair_has_room_for_its_largest_frame() {
    let (_source, far) = SocketSource::pair(DEFAULT_LARGEST).expect("a pair");
    far.send(&frame(0, DEFAULT_LARGEST)).expect("it fits");
}

#[test]
fn a_blocking_socket_stays_blocking_and_does_not_block_the_source() {
    let (near, _far) = UnixDatagram::pair().expect("a pair");
    let mut source = SocketSource::new(near).expect("it keeps boundaries");
    assert_eq!(plain_guest().turn(&mut source).expect("a turn").0, netrx::Progress::Idle);
    let flags = rustix::fs::fcntl_getfl(source.as_fd()).expect("it has flags");
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
}
