//! Faults between the reader and the system, and the calls that other systems use.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use netrx::{DropReason, EngineError, Features, FrameSource, Progress};
use netrx_mock::{Rig, Shape};
#[cfg(seqpacket)]
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::*;
use crate::buffers::fit_buffers;
use crate::sys::{Portable, System};

mod news;
#[path = "../../tests/rig/mod.rs"]
mod rig;

use rig::{QUIET, STUCK, frame, guest, merged, numbers, plain_guest, whole};

/// Calls that fail by script before they do what they should.
#[derive(Debug, Default)]
struct Faulty<C> {
    calls: C,
    /// What the next calls answer: an error; 0 lets one through.
    script: VecDeque<i32>,
    /// How often frames were asked for.
    asked: usize,
}

impl<C> Faulty<C> {
    fn fault(&mut self) -> Option<io::Error> {
        self.asked += 1;
        self.script.pop_front().filter(|fault| *fault != 0).map(io::Error::from_raw_os_error)
    }
}

impl<C: Calls> Calls for Faulty<C> {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        match self.fault() {
            Some(error) => Batch { count: 0, end: BatchEnd::Failed(error) },
            None => self.calls.receive(socket, lent, messages),
        }
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        self.fault().map_or_else(|| self.calls.peek(socket, largest), Err)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.fault().map_or_else(|| self.calls.skip(socket), Err)
    }
}

impl<C: Calls> FrameSource for Reader<C> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.wait(until)
    }

    fn waker(&self) -> Waker {
        self.waker()
    }
}

fn reader<C: Calls>(calls: C, largest: usize) -> (Reader<C>, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().expect("a pair");
    fit_buffers(&near, largest).expect("room");
    fit_buffers(&far, largest).expect("room");
    (Reader::new(near.into(), calls, largest).expect("it keeps boundaries"), far)
}

/// A reader whose next calls fail, with two frames in its socket.
fn faulty(script: &[i32]) -> (Reader<Faulty<System>>, UnixDatagram) {
    let calls = Faulty { script: script.iter().copied().collect(), ..Faulty::default() };
    let (reader, far) = reader(calls, 1514);
    far.send(&frame(0, 60)).expect("there is room");
    far.send(&frame(1, 60)).expect("there is room");
    (reader, far)
}

/// A guest whose buffers are read into directly, and one that has frames' lengths asked for.
fn both_guests() -> [Rig; 2] {
    [plain_guest(), guest(4, merged(), Shape::single(300))]
}

#[test]
fn what_is_tried_again_loses_nothing() {
    for mut rig in both_guests() {
        let (mut reader, _far) = faulty(&[libc::EINTR, libc::ECONNREFUSED, libc::EINTR]);
        assert_eq!(
            rig.turn(&mut reader).expect("a turn"),
            (Progress::More, vec![]),
            "a signal is no reason to sleep"
        );
        assert_eq!(numbers(&rig.take(&mut reader, 2).expect("all come")), whole([0, 1]));
        assert_eq!(reader.calls.script, [], "all of them were met");
        rig.check().expect("all is well");
    }
}

#[test]
fn an_empty_socket_is_left_until_it_is_ready() {
    for mut rig in both_guests() {
        let (mut reader, _far) = faulty(&[libc::EAGAIN]);
        assert_eq!(rig.turn(&mut reader).expect("a turn"), (Progress::Idle, vec![]));
        assert_eq!(reader.calls.asked, 1);
        reader.wait(Some(Instant::now() + STUCK)).expect("there are frames after all");
        assert_eq!(numbers(&rig.turn(&mut reader).expect("a turn").1), whole([0, 1]));
    }
}

#[test]
fn a_system_short_of_memory_is_given_a_breather() {
    for fault in [libc::ENOBUFS, libc::ENOMEM] {
        for mut rig in both_guests() {
            let (mut reader, _far) = faulty(&[fault, fault]);
            for _ in 0..2 {
                let begin = Instant::now();
                assert_eq!(
                    rig.turn(&mut reader).expect("a turn"),
                    (Progress::Idle, vec![]),
                    "not fatal, and no spinning"
                );
                reader.wait(None).expect("it waits, though not for the socket");
                assert!(begin.elapsed() >= BREATHER);
            }
            assert_eq!(reader.calls.asked, 2);
            assert_eq!(numbers(&rig.turn(&mut reader).expect("a turn").1), whole([0, 1]));
        }
    }
}

#[test]
fn a_breather_ends_at_the_deadline() {
    let (mut reader, _far) = faulty(&[libc::ENOBUFS]);
    assert_eq!(plain_guest().turn(&mut reader).expect("a turn").0, Progress::Idle);
    reader.wait(Some(Instant::now())).expect("a time that has passed is no error");
    assert!(!reader.strained);
}

/// What a watcher is told: ready, how soon at the latest, and by how many descriptors.
fn watched(reader: &Reader<Faulty<System>>) -> (bool, Option<Instant>, usize) {
    let mut watch = Watch::new(Waker::noop());
    reader.watch(&mut watch);
    (watch.is_ready(), watch.deadline(), watch.descriptors().len())
}

#[test]
fn whoever_waits_for_several_is_told_of_a_breather_as_of_anything_else() {
    let (mut reader, _far) = faulty(&[libc::ENOBUFS, libc::ECONNRESET]);
    assert_eq!(watched(&reader), (false, None, 1));
    let begin = Instant::now();
    assert_eq!(plain_guest().turn(&mut reader).expect("a turn").0, Progress::Idle);
    for _ in 0..2 {
        let (ready, until, descriptors) = watched(&reader);
        assert_eq!((ready, descriptors), (false, 0), "the socket is readable all the time");
        assert!(until.is_some_and(|until| until >= begin + BREATHER && until < begin + STUCK));
    }
    reader.wait(Some(Instant::now())).expect("its time has come");
    assert_eq!(watched(&reader), (false, None, 1));
    assert_eq!(numbers(&plain_guest().take(&mut reader, usize::MAX).expect("all come")), whole([0, 1]));
    assert_eq!(watched(&reader), (true, None, 0), "the far end is gone");
}

#[test]
fn a_reset_ends_it_after_the_last_frame() {
    for mut rig in both_guests() {
        let (mut reader, _far) = faulty(&[libc::ECONNRESET]);
        assert_eq!(numbers(&rig.take(&mut reader, usize::MAX).expect("all come")), whole([0, 1]));
        reader.wait(None).expect("it does not sleep any more");
    }
}

/// Calls whose far end closes as soon as they have read.
#[cfg(seqpacket)]
struct Closing {
    calls: System,
    far: Option<OwnedFd>,
}

#[cfg(seqpacket)]
impl Calls for Closing {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        let batch = self.calls.receive(socket, lent, messages);
        self.far = None;
        batch
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        self.calls.peek(socket, largest)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.calls.skip(socket)
    }
}

#[cfg(seqpacket)]
#[test]
fn an_empty_message_that_came_before_the_end_is_counted() {
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("the system has them");
    for message in [&frame(0, 60)[..], &[]] {
        assert_eq!(send(&far, message, SendFlags::empty()), Ok(message.len()));
    }
    let calls = Closing { calls: System::default(), far: Some(far) };
    let mut reader = Reader::new(near, calls, 1514).expect("it keeps boundaries");
    let mut rig = plain_guest();
    assert_eq!(numbers(&rig.take(&mut reader, usize::MAX).expect("all come")), whole([0]));
    assert_eq!(rig.stats().dropped(DropReason::Runt), 1);
    rig.check().expect("all is well");
}

#[test]
fn other_errors_are_fatal_and_what_came_before_is_delivered() {
    for mut rig in both_guests() {
        // The first answer of the second guest is a length.
        let mergeable = rig.driver.features().has(Features::MRG_RXBUF);
        let (mut reader, far) = faulty(if mergeable { &[0, 0, libc::EIO] } else { &[0, libc::EIO] });
        for number in 2..200 {
            far.send(&frame(number, 60)).expect("there is room");
        }
        rig.driver.post(usize::MAX);
        let error = rig.engine.poll(&mut reader, Instant::now()).expect_err("it is fatal");
        let EngineError::Source(SourceError::Io { doing: "read from the socket", cause }) = error else {
            unreachable!("another error: {error}");
        };
        assert_eq!(cause.raw_os_error(), Some(libc::EIO));
        let frames = rig.driver.drain_frames().expect("no complaint");
        assert_eq!(numbers(&frames), whole(0..frames.len() as u64));
        assert!(!frames.is_empty());
        rig.check().expect("all is well");
    }
}

#[test]
fn an_error_behind_frames_is_not_lost() {
    // The portable calls find an error only when they come to it.
    let mut script = Faulty::<Portable> { script: [0, libc::EIO].into(), ..Faulty::default() };
    script.calls = Portable::default();
    let (mut reader, far) = reader(script, 1514);
    for number in 0..BATCH as u64 {
        far.send(&frame(number, 60)).expect("there is room");
    }
    let mut rig = plain_guest();
    rig.driver.post(usize::MAX);
    assert!(rig.engine.poll(&mut reader, Instant::now()).is_err());
    assert_eq!(rig.driver.drain_frames().expect("no complaint").len(), BATCH);
}

#[test]
fn a_burst_is_read_by_one_call() {
    let (mut reader, far) = reader(Faulty::<System>::default(), 1514);
    let count = BATCH as u64 - 1;
    for number in 0..count {
        far.send(&frame(number, 1514)).expect("there is room");
    }
    let mut rig = plain_guest();
    let (progress, frames) = rig.turn(&mut reader).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, whole(0..count)));
    assert_eq!(reader.calls.asked, 1, "it is known to be empty without asking again");
}

#[test]
fn the_portable_calls_keep_boundaries() {
    let lens = [14, 60, 300, 2036, 2037, 9014, 40_000, 65_550, 60];
    for (features, shape) in [
        (Features::VERSION_1, Shape::chained(&[1, 11, 65_550])),
        (merged(), Shape::single(1526)),
        (merged(), Shape::chained(&[13, 2060])),
    ] {
        let (mut reader, far) = reader(Portable::default(), 65_550);
        far.set_nonblocking(true).expect("it is a socket");
        let mut rig = guest(64, features, shape);
        for (number, len) in (0..).zip(lens) {
            far.send(&frame(number, len)).expect("there is room");
            let frames = rig.take(&mut reader, 1).expect("all come");
            assert!(frames.len() == 1 && frames[0] == frame(number, len), "frame {number} of {len} bytes");
        }
        assert_eq!(rig.turn(&mut reader).expect("a turn"), (Progress::Idle, vec![]));
        rig.check().expect("all is well");
    }
}

#[test]
fn the_portable_calls_drop_what_is_too_long() {
    for (features, dropped_beyond) in [(Features::VERSION_1, 1012), (merged(), 4084)] {
        let (mut reader, far) = reader(Portable::default(), 9014);
        let mut rig = guest(4, features, Shape::single(1024));
        for (number, len) in (0..).zip([60, dropped_beyond + 1, 9014, dropped_beyond]) {
            far.send(&frame(number, len)).expect("there is room");
        }
        assert_eq!(numbers(&rig.take(&mut reader, 2).expect("all come")), whole([0, 3]));
        assert_eq!(rig.stats().dropped(DropReason::TooLong), 2);
        rig.check().expect("all is well");
    }
}

#[test]
fn a_length_can_be_found_in_two_ways() {
    let (near, far) = UnixDatagram::pair().expect("a pair");
    let (mut system, mut portable) = (System::default(), Portable::default());
    let mut lengths = |expected: Option<usize>| {
        assert_eq!(system.peek(near.as_fd(), 9014).ok(), expected);
        assert_eq!(portable.peek(near.as_fd(), 9014).ok(), expected);
        if expected.is_some() {
            system.skip(near.as_fd()).expect("there is one");
        }
    };
    lengths(None);
    for len in [0, 1, 60, 9013, 9014, 9015] {
        far.send(&frame(0, len)).expect("there is room");
        lengths(Some(len));
    }
    assert!(system.skip(near.as_fd()).is_ok(), "nothing to skip is as good");
}

#[test]
fn nothing_is_polled_for_while_it_waits() {
    let (mut reader, _far) = reader(Faulty::<System>::default(), 1514);
    assert_eq!(plain_guest().turn(&mut reader).expect("a turn").0, Progress::Idle);
    let begin = Instant::now();
    let mut waits = 0;
    while begin.elapsed() < QUIET {
        reader.wait(Some(begin + QUIET)).expect("it waits");
        waits += 1;
    }
    assert!(waits < 20 && reader.calls.asked == 1, "{waits} waits");
}
