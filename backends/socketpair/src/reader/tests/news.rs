//! Errors that come between frames, and are none of the socket's own.

use super::*;

/// What networks say about frames that were sent through a socket, as errors of the next read.
const SAID_BY_NETWORKS: &[i32] = &[
    libc::ECONNREFUSED,
    libc::EMSGSIZE,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::ENETDOWN,
    libc::EPROTO,
    libc::EACCES,
    #[cfg(target_os = "linux")]
    libc::ENONET,
];

#[test]
fn news_of_what_others_sent_loses_nothing() {
    for news in SAID_BY_NETWORKS {
        for mut rig in both_guests() {
            let (mut reader, _far) = faulty(&[*news]);
            assert_eq!(rig.turn(&mut reader).expect("not fatal"), (Progress::More, vec![]), "{news}");
            assert_eq!(numbers(&rig.turn(&mut reader).expect("a turn").1), whole([0, 1]));
            rig.check().expect("all is well");
        }
    }
}

#[test]
fn news_again_and_again_does_not_spin() {
    for news in SAID_BY_NETWORKS {
        for mut rig in both_guests() {
            let (mut reader, _far) = faulty(&[*news; 4]);
            for _ in 0..2 {
                assert_eq!(rig.turn(&mut reader).expect("not fatal").0, Progress::More);
                let begin = Instant::now();
                assert_eq!(rig.turn(&mut reader).expect("not fatal").0, Progress::Idle, "{news}");
                reader.wait(None).expect("it waits, though not for the socket");
                assert!(begin.elapsed() >= BREATHER);
            }
            assert_eq!(numbers(&rig.turn(&mut reader).expect("a turn").1), whole([0, 1]));
        }
    }
}

#[test]
fn news_between_frames_costs_no_time() {
    let (mut reader, far) = faulty(&[libc::EHOSTUNREACH, 0, libc::EHOSTUNREACH, 0]);
    let mut rig = plain_guest();
    for first in [0, 2] {
        assert_eq!(rig.turn(&mut reader).expect("a turn").0, Progress::More);
        assert_eq!(numbers(&rig.turn(&mut reader).expect("a turn").1), whole([first, first + 1]));
        far.send(&frame(2, 60)).expect("there is room");
        far.send(&frame(3, 60)).expect("there is room");
    }
}

#[test]
fn a_frame_that_is_skipped_is_counted_once_whatever_comes_between() {
    for fault in [libc::EHOSTUNREACH, libc::ECONNRESET, libc::ENOBUFS] {
        let mut rig = guest(4, merged(), Shape::single(300));
        // Asked for its length, it is too long, and then the fault.
        let calls = Faulty { script: [0, fault].into(), ..Faulty::<System>::default() };
        let (mut reader, far) = reader(calls, 1514);
        far.send(&frame(0, 1514)).expect("there is room");
        far.send(&frame(1, 60)).expect("there is room");
        assert_eq!(numbers(&rig.take(&mut reader, 1).expect("not fatal")), whole([1]), "{fault}");
        assert_eq!((rig.stats().frames_taken, rig.stats().dropped(DropReason::TooLong)), (2, 1));
        rig.check().expect("all is well");
    }
}

/// Calls of a system that loses a frame between two looks at it.
#[derive(Default)]
struct Losing(System);

impl Calls for Losing {
    fn receive(&mut self, socket: BorrowedFd<'_>, lent: &Lent<'_, '_>, messages: &mut [Message]) -> Batch {
        self.0.receive(socket, lent, messages)
    }

    fn peek(&mut self, socket: BorrowedFd<'_>, largest: usize) -> io::Result<usize> {
        self.0.peek(socket, largest)
    }

    fn skip(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.0.skip(socket).and(Err(io::ErrorKind::WouldBlock.into()))
    }
}

#[test]
fn a_frame_that_is_gone_before_it_is_skipped_takes_no_other_along() {
    let mut rig = guest(4, merged(), Shape::single(300));
    let (mut reader, far) = reader(Losing::default(), 1514);
    for (number, len) in [(0, 1514), (1, 60), (2, 60)] {
        far.send(&frame(number, len)).expect("there is room");
    }
    assert_eq!(numbers(&rig.take(&mut reader, 2).expect("not fatal")), whole([1, 2]));
    assert_eq!((rig.stats().frames_taken, rig.stats().dropped(DropReason::TooLong)), (3, 1));
    rig.check().expect("all is well");
}
