//! No file descriptor is leaked. One test, as the descriptors of others in the same process would be counted as well.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::time::Instant;

use netrx::{FrameSource, Progress};
use netrx_socketpair::SocketSource;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use rig::{STUCK, frame, numbers, plain_guest, whole};

fn open() -> usize {
    std::fs::read_dir("/dev/fd").expect("the system lists them").count()
}

/// Waits for the count to come down: libkqueue closes its own descriptors a little later, on a thread of its own.
fn comes_down_to(most: usize) -> bool {
    let begin = Instant::now();
    while open() > most {
        if begin.elapsed() > STUCK {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn descriptors_stay_flat() {
    let warm_up = SocketSource::pair(1514).expect("a pair");
    drop(warm_up);
    let before = open();
    for _ in 0..1000 {
        let (source, _far) = SocketSource::pair(1514).expect("a pair");
        source.waker().wake();
    }
    assert!(comes_down_to(before + 4), "{} descriptors, {before} before", open());
    sent_descriptors_are_discarded();
}

fn sent_descriptors_are_discarded() {
    let (mut source, far) = SocketSource::pair(1514).expect("a pair");
    let mut rig = plain_guest();
    assert_eq!(rig.turn(&mut source).expect("a turn").0, Progress::Idle);
    let before = open();
    for number in 0..100 {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        let rights = [far.as_fd()];
        assert!(extra.push(SendAncillaryMessage::ScmRights(&rights)));
        let bytes = frame(number, 60);
        sendmsg(&far, &[IoSlice::new(&bytes)], &mut extra, SendFlags::empty()).expect("there is room");
    }
    assert_eq!(numbers(&rig.take(&mut source, 100).expect("all come")), whole(0..100));
    assert_eq!(open(), before);
}
