//! What makes no sense is refused by name, given back, and changes nothing.

#![cfg(supported)]
#![allow(clippy::expect_used, clippy::panic, reason = "what goes wrong fails the test")]

mod bare;

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use netrx::{Features, Progress};
use netrx_mock::Shape;
use netrx_tcp::machine::AckBeyond;
use netrx_tcp::{ControlError, End, Promotion, Refusal, Segment};

use bare::{ACK, Bare, FIRST, HEADERS, SEQ, ack, address, flags, number, pair, promotion};

/// Promotes a connection that something is wrong with; why it was refused, after a look at whether the stream still
/// works.
fn refused(bare: &Bare, wrong: impl FnOnce(&mut Promotion)) -> Refusal {
    let (near, mut far) = pair();
    let mut promotion = promotion(near, 1000);
    wrong(&mut promotion);
    let refused = bare.promoter.promote(promotion).expect_err("it makes no sense");
    far.write_all(b"still here").expect("it is open");
    let mut read = [0; 10];
    (&refused.promotion.stream).read_exact(&mut read).expect("the stream was given back");
    assert_eq!(&read, b"still here");
    refused.reason
}

#[test]
fn nonsense_is_refused_and_given_back() {
    let bare = Bare::new(4);
    let family = refused(&bare, |promotion| promotion.guest.addr = address("[::1]:1"));
    assert!(matches!(family, Refusal::Families));
    assert!(matches!(refused(&bare, |promotion| promotion.mss = 0), Refusal::Mss(0)));
    assert!(matches!(refused(&bare, |promotion| promotion.mss = 47), Refusal::Mss(47)));
    assert!(matches!(refused(&bare, |promotion| promotion.scale = 15), Refusal::Scale(15)));
    assert!(matches!(refused(&bare, |promotion| promotion.receive_scale = 32), Refusal::Scale(32)));
    assert_eq!(bare.source.connections(), 0);
}

#[test]
fn a_window_is_no_more_than_a_header_can_say() {
    let bare = Bare::new(16);
    for (scale, most) in [(0, 65_535), (1, 131_070), (14, 65_535 << 14)] {
        let with =
            |window| move |promotion: &mut Promotion| (promotion.scale, promotion.window) = (scale, window);
        for window in [most + 1, u32::MAX] {
            let refused = refused(&bare, with(window));
            let expected =
                matches!(refused, Refusal::Window { window: w, most: m } if (w, m) == (window, most));
            assert!(expected, "{refused}");
        }
        for window in [most, most - 1, 0] {
            let (near, _far) = pair();
            let mut promotion = promotion(near, 1000);
            with(window)(&mut promotion);
            assert!(bare.promoter.promote(promotion).is_ok(), "{window} shifted by {scale}");
        }
    }
}

#[test]
fn what_is_no_end_of_a_connection_is_refused() {
    let bare = Bare::new(4);
    for none in [
        "0.0.0.0:1",
        "255.255.255.255:1",
        "224.0.0.1:1",
        "10.0.0.3:0",
        "[::]:1",
        "[ff02::1]:1",
        "[fe80::1]:0",
    ] {
        let none = address(none);
        let good = if none.is_ipv4() { address("10.0.0.9:9") } else { address("[fe80::9]:9") };
        for ends in [(none, good), (good, none)] {
            let refused = refused(&bare, |promotion| (promotion.guest.addr, promotion.remote.addr) = ends);
            assert!(matches!(refused, Refusal::NoEnd(end) if end == none), "{none}: {refused}");
        }
    }
    for none in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        let refusals = [
            refused(&bare, |promotion| promotion.guest.mac = none),
            refused(&bare, |promotion| promotion.remote.mac = none),
        ];
        assert!(refusals.iter().all(|refusal| matches!(refusal, Refusal::NoCard(mac) if *mac == none)));
    }
    for same in ["10.0.0.2:4000", "[fe80::1]:4000"].map(address) {
        let refused =
            refused(&bare, |promotion| (promotion.guest.addr, promotion.remote.addr) = (same, same));
        assert!(matches!(refused, Refusal::SameEnd(end) if end == same), "{refused}");
    }
}

#[test]
fn ends_of_one_host_are_two_by_their_ports() {
    let (bare, (near, _far)) = (Bare::new(4), pair());
    let mut promotion = promotion(near, 1000);
    promotion.remote.addr = address("10.0.0.2:80");
    assert!(bare.promoter.promote(promotion).is_ok());
}

#[test]
fn a_socket_without_a_peer_is_refused() {
    let bare = Bare::new(4);
    let loose = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let loose = TcpStream::from(loose.expect("a socket"));
    let refused = bare.promoter.promote(promotion(loose, 1000)).expect_err("it is not connected");
    assert!(matches!(refused.reason, Refusal::NotConnected(_)), "{refused}");
}

#[test]
fn what_is_no_stream_is_refused() {
    let bare = Bare::new(4);
    let (near, far) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (near, far) = (near.expect("a port"), far.expect("a port"));
    near.connect(far.local_addr().expect("an address")).expect("a peer");
    let refused = bare.promoter.promote(promotion(TcpStream::from(OwnedFd::from(near)), 1000));
    assert!(matches!(refused.expect_err("it has no bytes in order").reason, Refusal::NotAStream));
}

#[test]
fn no_connection_is_taken_over_twice() {
    let mut bare = Bare::new(4);
    let (near, _far) = pair();
    let twin = near.try_clone().expect("a clone");
    let first = promotion(near, 1000);
    let guest = first.guest.addr;
    let first = bare.promoter.promote(first).expect("it is the first");
    let refused = bare.promoter.promote(promotion(twin, 1000)).expect_err("it is the same socket");
    assert!(matches!(refused.reason, Refusal::Taken), "{refused}");
    let twin = refused.promotion.stream;
    let same = self::refused(&bare, |promotion| promotion.guest.addr = guest);
    assert!(matches!(same, Refusal::Taken), "{same}");
    drop(first);
    drop(bare.end());
    let mut again = promotion(twin, 1000);
    again.guest.addr = guest;
    assert!(bare.promoter.promote(again).is_ok(), "the first has ended");
}

#[test]
fn places_are_free_again_once_ends_were_taken_note_of() {
    let mut bare = Bare::new(1);
    let (connection, _far) = bare.connect(1000);
    assert!(matches!(refused(&bare, |_| ()), Refusal::Full(1)));
    drop(connection);
    let ended = bare.end();
    assert!(matches!(ended.end, End::Abandoned));
    assert!(matches!(refused(&bare, |_| ()), Refusal::Full(1)), "its end is still held");
    drop(ended);
    drop(bare.connect(1000));
}

#[test]
fn nobody_takes_over_what_comes_too_late() {
    let mut bare = Bare::new(4);
    let (early, _far) = bare.connect(1000);
    bare.pass();
    let (late, _far) = bare.connect(1000);
    let Bare { source, promoter, .. } = bare;
    drop(source);
    let (near, _far) = pair();
    let refused = promoter.promote(promotion(near, 1000)).expect_err("there is no source");
    assert!(matches!(refused.reason, Refusal::Gone));
    for connection in [early, late] {
        assert_eq!(connection.segment(&ack(FIRST, 10)), Err(ControlError::Ended));
        assert_eq!(connection.received(78, 1000), Err(ControlError::Ended));
    }
}

#[test]
fn word_of_an_ended_connection_is_refused() {
    let mut bare = Bare::new(4);
    let (old, _far) = bare.connect(1000);
    bare.pass();
    old.segment(&Segment { rst: true, ..ack(FIRST, 0) }).expect("it is alive");
    assert!(matches!(bare.end().end, End::ResetByGuest));
    // The place is used again, by another.
    let (new, mut far) = bare.connect(1000);
    far.write_all(b"for the new one").expect("it is open");
    let frames = bare.frames(|frames| !frames.is_empty());
    assert_eq!(&frames[0][HEADERS..], b"for the new one");
    assert_eq!(old.segment(&ack(FIRST + 15, 1000)), Err(ControlError::Ended));
    assert_ne!(old.id(), new.id());
    drop(old);
    assert_eq!(new.segment(&ack(FIRST + 15, 1000)), Ok(()), "the new one is none the worse");
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_changes_nothing() {
    let mut bare = Bare::new(4);
    let (connection, mut far) = bare.connect(10);
    far.write_all(b"0123456789abcdef").expect("it is open");
    bare.frames(|frames| frames.iter().any(|frame| frame.ends_with(b"0123456789")));
    let beyond = AckBeyond { ack: FIRST + 11, sent: FIRST + 10 };
    assert_eq!(connection.segment(&ack(FIRST + 11, 500)), Err(ControlError::AckBeyond(beyond)));
    assert_eq!(connection.next(), FIRST + 10);
    let (progress, frames) = bare.turn();
    assert_eq!((progress, frames.len()), (Progress::Idle, 0), "its window is as it was");
    connection.segment(&ack(FIRST + 10, 500)).expect("it was sent");
    let frames = bare.frames(|frames| !frames.is_empty());
    assert!(frames[0].ends_with(b"abcdef"));
}

#[test]
fn the_window_is_kept_to_the_byte() {
    let mut bare = Bare::with(4, Features::VERSION_1 | Features::GUEST_CSUM, Shape::single(2048));
    let (connection, mut far) = bare.connect(7);
    far.write_all(&[1; 100]).expect("it is open");
    let frames = bare.frames(|frames| !frames.is_empty());
    assert_eq!(frames[0].len(), HEADERS + 7);
    // Acknowledges three, and takes two in all from there: fewer than are on their way.
    connection.segment(&ack(FIRST + 3, 2)).expect("it was sent");
    assert!(bare.turn().1.is_empty());
    connection.segment(&ack(FIRST + 7, 3)).expect("it was sent");
    let frames = bare.frames(|frames| !frames.is_empty());
    assert_eq!((frames.len(), frames[0].len()), (1, HEADERS + 3));
}

#[test]
fn what_is_received_is_told() {
    // What a header cannot say for its shift is left out: the guest is never told of more than there is.
    for (receive_scale, window) in [(0, 500), (7, (500 << 7) + 127)] {
        let mut bare = Bare::new(4);
        let (near, mut far) = pair();
        let promotion = Promotion { receive_scale, ..promotion(near, 1000) };
        let connection = bare.promoter.promote(promotion).expect("it is taken over");
        bare.pass();
        connection.received(99, window).expect("it is alive");
        let frames = bare.frames(|frames| !frames.is_empty());
        assert_eq!((number(&frames[0], ACK), number(&frames[0], SEQ), flags(&frames[0])), (99, FIRST, 0x10));
        assert_eq!(&frames[0][48..50], &500_u16.to_be_bytes(), "a window of {window} bytes");
        far.write_all(b"x").expect("it is open");
        let frames = bare.frames(|frames| !frames.is_empty());
        assert_eq!((number(&frames[0], ACK), frames[0].len()), (99, HEADERS + 1));
        assert!(bare.turn().1.is_empty(), "once");
    }
}

#[test]
fn bytes_that_others_take_end_the_connection() {
    let mut bare = Bare::new(4);
    let (near, mut far) = pair();
    let thief = near.try_clone().expect("a clone");
    let connection = bare.promoter.promote(promotion(near, 1000)).expect("it is taken over");
    far.write_all(b"0123456789").expect("it is open");
    bare.frames(|frames| !frames.is_empty());
    (&thief).read_exact(&mut [0; 10]).expect("they are there");
    // Three duplicates: it is to be sent again.
    connection.segment(&ack(FIRST, 1000)).expect("it is alive");
    for _ in 0..3 {
        connection.segment(&ack(FIRST, 1000)).expect("it is alive");
    }
    let frames = bare.frames(|frames| !frames.is_empty());
    assert_eq!(flags(&frames[0]) & 4, 4, "the guest is sent a reset");
    assert!(matches!(bare.end().end, End::Failed(_)));
}

#[test]
fn buffers_too_small_for_headers_end_the_connection() {
    let tiny = [
        (Features::VERSION_1 | Features::GUEST_CSUM, Shape::single(12 + HEADERS as u32)),
        (Features::VERSION_1 | Features::GUEST_CSUM | Features::MRG_RXBUF, Shape::single(20)),
    ];
    for (features, shape) in tiny {
        let mut bare = Bare::with(4, features, shape);
        let (_connection, mut far) = bare.connect(1000);
        far.write_all(&[1; 1000]).expect("it is open");
        assert!(matches!(bare.end().end, End::NoBuffers));
    }
}

#[test]
fn without_handles_the_source_closes() {
    let mut bare = Bare::new(4);
    let (connection, _far) = bare.connect(1000);
    assert_eq!(bare.turn().0, Progress::Idle);
    let Bare { mut source, promoter, ends, mut engine, mut driver } = bare;
    drop(promoter);
    driver.post(usize::MAX);
    let now = std::time::Instant::now();
    assert!(matches!(engine.poll(&mut source, now), Ok(Progress::Idle)), "there is a connection");
    drop(connection);
    assert!(matches!(engine.poll(&mut source, now), Ok(Progress::Closed)));
    drop(source);
    assert_eq!(ends.iter().count(), 1, "and then its channel does, too");
}
