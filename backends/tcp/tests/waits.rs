//! What ends a wait, beyond what is asked of every source.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::Write;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use netrx::{FrameSource, Progress};
#[cfg(not(libkqueue))]
use netrx_tcp::TcpSource;
#[cfg(not(libkqueue))]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use bare::{ACK, Bare, STUCK, ack, number, payload};

#[test]
fn a_wake_before_a_turn_ends_the_wait_after_it() {
    let (mut bare, mut held) = (Bare::new(4), Vec::new());
    for connections in 0..3 {
        bare.source.waker().wake();
        (0..3).for_each(|_| bare.pass());
        let begin = Instant::now();
        bare.source.wait(Some(begin + STUCK)).expect("it waits");
        assert!(begin.elapsed() < STUCK, "with {connections} connections");
        held.push(bare.connect(1000));
    }
}

#[test]
fn bytes_that_come_after_a_stall_end_a_wait() {
    let mut bare = Bare::new(4);
    let (connection, mut far) = bare.connect(0);
    bare.pass();
    for _ in 0..3 {
        // These are not to be sent: the stream is left alone from here on.
        far.write_all(b"before").expect("it is open");
        bare.source.wait(Some(Instant::now() + STUCK)).expect("it waits");
        bare.pass();
        let window = |window| connection.segment(&ack(connection.next(), window)).expect("it is alive");
        window(1000);
        bare.acknowledged(&connection, 1000, |frames| payload(frames) == 6);
        while bare.turn().0 != Progress::Idle {}
        far.write_all(b"after").expect("it is open");
        bare.acknowledged(&connection, 1000, |frames| payload(frames) == 5);
        window(0);
        while bare.turn().0 != Progress::Idle {}
    }
}

#[test]
fn a_full_guest_loses_nothing() {
    let mut bare = Bare::new(4);
    let (connection, mut far) = bare.connect(60_000);
    far.write_all(&[7; 40_000]).expect("the system has room");
    for _ in 0..3 {
        assert!(matches!(bare.engine.poll(&mut bare.source, Instant::now()), Ok(Progress::Starved)));
    }
    bare.acknowledged(&connection, 60_000, |frames| payload(frames) == 40_000);
    assert!(bare.engine.counters().snapshot().is_balanced());
}

#[test]
fn a_timeout_ends_a_wait_and_sends_again() {
    let mut bare = Bare::new(4);
    let (_connection, mut far) = bare.connect(1000);
    far.write_all(b"lost").expect("it is open");
    let begin = Instant::now();
    let frames = bare.frames(|frames| frames.len() == 2);
    assert_eq!(frames[0], frames[1]);
    assert!(begin.elapsed() >= std::time::Duration::from_millis(900) && begin.elapsed() < STUCK);
}

#[test]
fn bytes_that_meet_a_shut_window_are_timed() {
    let mut bare = Bare::new(4);
    let (_connection, mut far) = bare.connect(0);
    bare.pass();
    assert_eq!(bare.source.due(), None, "there is nothing to be sent");
    far.write_all(b"more").expect("it is open");
    bare.source.wait(Some(Instant::now() + STUCK)).expect("it waits");
    bare.pass();
    let due = bare.source.due();
    assert!(due.is_some_and(|due| due > Instant::now()), "its window will be probed: {due:?}");
}

/// Whether the source's descriptor says that there is something to do.
#[cfg(not(libkqueue))]
fn is_readable(source: &TcpSource) -> bool {
    let mut asked = [PollFd::new(source, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).expect("it can be polled") > 0
}

// The descriptor of libkqueue's queues is never readable.
#[cfg(not(libkqueue))]
#[test]
fn a_loop_of_ones_own_is_told_by_the_descriptor() {
    let mut bare = Bare::new(4);
    let waker = bare.source.waker();
    let quiet_after = |bare: &mut Bare, what| {
        assert!(is_readable(&bare.source), "{what}");
        bare.pass();
        assert!(!is_readable(&bare.source), "{what}");
    };
    assert!(!is_readable(&bare.source));
    waker.wake_by_ref();
    quiet_after(&mut bare, "a wake without any connection");
    let (connection, mut far) = bare.connect(1000);
    quiet_after(&mut bare, "a connection");
    far.write_all(b"bytes").expect("it is open");
    quiet_after(&mut bare, "bytes");
    connection.segment(&ack(connection.next(), 1000)).expect("it was sent");
    quiet_after(&mut bare, "word");
    waker.wake();
    quiet_after(&mut bare, "a wake");
}

#[test]
fn no_word_is_lost_however_it_meets_the_source() {
    const ROUNDS: u32 = 20_000;
    let mut bare = Bare::new(4);
    let (connection, _far) = bare.connect(1000);
    let (told, answers) = channel();
    let worker = thread::spawn(move || {
        while bare.source.connections() > 0 || bare.engine.counters().snapshot().frames_taken == 0 {
            let (progress, frames) = bare.turn();
            // Nobody listens at the end.
            frames.iter().for_each(|frame| told.send(number(frame, ACK)).unwrap_or_default());
            if progress == Progress::Idle && bare.source.connections() > 0 {
                bare.source.wait(None).expect("it waits");
            }
        }
    });
    for round in 100..100 + ROUNDS {
        connection.received(round, 1000).expect("it is alive");
        // It may merge with nothing: each is waited for, at all distances from the source's falling asleep.
        assert_eq!(answers.recv_timeout(STUCK), Ok(round));
        (0..round % 50).for_each(|_| std::hint::spin_loop());
    }
    drop(connection);
    worker.join().expect("the source's thread is well");
}
