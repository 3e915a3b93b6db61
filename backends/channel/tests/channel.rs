//! What is particular to channels: bounds, the pending frame, metadata, the end.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded, unbounded};
use netrx::spec::Checksum;
use netrx::{Features, FrameMeta, FrameSource, Progress};
use netrx_channel::{ChannelSource, Frame, Tagged};
use netrx_mock::{DriverConfig, Rig, Shape, Taken, traffic};

/// How long anything may take before it is called stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
const QUIET: Duration = Duration::from_millis(300);

fn rig(size: u16, features: Features) -> Rig {
    Rig::new(DriverConfig::new(size, features, Shape::single(2048))).expect("a guest")
}

fn frame(number: u64) -> Vec<u8> {
    traffic::frame(number, 60)
}

fn numbers(frames: &[Vec<u8>]) -> Vec<u64> {
    frames.iter().map(|frame| traffic::number(frame).expect("a whole frame")).collect()
}

#[test]
fn the_bound_refuses_the_sender_and_nothing_is_lost() {
    let (frames, receiver) = bounded(3);
    let mut source = ChannelSource::new(receiver);
    let mut rig = rig(4, Features::VERSION_1);
    let mut sent = 0;
    rig.driver.post(2);
    let offer = |sent: &mut u64| {
        while frames.try_send(frame(*sent)).is_ok() {
            *sent += 1;
        }
    };
    offer(&mut sent);
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
    offer(&mut sent);
    // Two in the guest, one pending at most, three in the channel.
    assert!((5..=6).contains(&sent), "{sent} were accepted");
    assert!(matches!(frames.try_send(frame(99)), Err(TrySendError::Full(back)) if back == frame(99)));
    let mut got = numbers(&rig.driver.drain_frames().expect("no violation"));
    for _ in 0..3 {
        got.extend(numbers(&rig.turn(&mut source).expect("a turn").1));
    }
    assert_eq!(got, (0..sent).collect::<Vec<_>>());
}

#[test]
fn the_bound_blocks_the_sender() {
    let (frames, receiver) = bounded(1);
    let mut source = ChannelSource::new(receiver);
    let mut rig = rig(4, Features::VERSION_1);
    let (done, all_sent) = mpsc::channel();
    let sender = thread::spawn(move || {
        for number in 0..20 {
            frames.send(frame(number)).expect("the source is there");
        }
        done.send(())
    });
    assert!(all_sent.recv_timeout(QUIET).is_err(), "nobody takes the frames");
    let got = rig.take(&mut source, 20).expect("all come");
    assert_eq!(numbers(&got), (0..20).collect::<Vec<_>>());
    assert!(sender.join().is_ok_and(|sent| sent.is_ok()));
}

#[test]
fn a_rendezvous_channel_works_too() {
    let (frames, receiver) = bounded(0);
    let mut source = ChannelSource::new(receiver);
    let mut rig = rig(4, Features::VERSION_1);
    let sender = thread::spawn(move || (0..20).all(|number| frames.send(frame(number)).is_ok()));
    let got = rig.take(&mut source, 20).expect("all come");
    assert_eq!(numbers(&got), (0..20).collect::<Vec<_>>());
    assert!(sender.join().is_ok_and(|all| all));
}

/// A source with frame 0 pending and frame 1 in its channel.
fn with_a_pending_frame() -> (ChannelSource<Vec<u8>>, Sender<Vec<u8>>, Rig) {
    let (frames, receiver) = unbounded();
    let mut source = ChannelSource::new(receiver);
    let mut rig = rig(2, Features::VERSION_1 | Features::MRG_RXBUF);
    let long = traffic::frame(0, 3000);
    frames.send(long).expect("the source is there");
    frames.send(frame(1)).expect("the source is there");
    rig.driver.post(1);
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
    assert!(source.pending().is_some_and(|frame| traffic::is_frame(0, frame)));
    (source, frames, rig)
}

#[test]
fn the_pending_frame_survives_a_stop() {
    let (mut source, _frames, first) = with_a_pending_frame();
    let finished = first.engine.finish();
    assert_eq!(finished.stats.frames_taken, 0);
    let mut second = rig(8, Features::VERSION_1 | Features::MRG_RXBUF);
    let (progress, frames) = second.turn(&mut source).expect("a turn");
    assert_eq!((progress, numbers(&frames)), (Progress::Idle, vec![0, 1]));
    assert_eq!(source.pending(), None);
}

#[test]
fn the_pending_frame_can_be_taken_out() {
    let (source, _frames, _rig) = with_a_pending_frame();
    let (rest, pending) = source.into_parts();
    assert!(pending.is_some_and(|frame| traffic::is_frame(0, &frame)));
    assert_eq!(rest.try_recv(), Ok(frame(1)));
}

#[test]
fn a_pending_frame_does_not_let_a_wait_sleep() {
    let (mut source, _frames, _rig) = with_a_pending_frame();
    source.wait(None).expect("it waits");
}

#[test]
fn it_closes_after_the_last_frame() {
    let (mut source, frames, mut rig) = with_a_pending_frame();
    drop(frames);
    assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved, "the pending frame is left");
    let (progress, mut got) = rig.turn(&mut source).expect("a turn");
    assert_ne!(progress, Progress::Idle);
    got.extend(rig.turn(&mut source).expect("a turn").1);
    assert_eq!(numbers(&got), [0, 1]);
    source.wait(None).expect("a closed channel ends a wait");
    assert_eq!(rig.turn(&mut source).expect("a turn").0, Progress::Closed);
}

#[test]
fn metadata_becomes_the_header() {
    let meta = FrameMeta { checksum: Checksum::Partial { start: 34, offset: 16 }, segmentation: None };
    for (features, header) in [
        (Features::VERSION_1 | Features::GUEST_CSUM, Some([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 1, 0])),
        (Features::VERSION_1, None),
    ] {
        let (frames, receiver) = unbounded();
        frames.send(Tagged { frame: frame(7), meta }).expect("the source is there");
        let mut source = ChannelSource::from(receiver);
        let mut rig = rig(4, features);
        rig.driver.post(4);
        assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Idle);
        let mut headers = Vec::new();
        let each = |taken: &Taken| headers.push(taken.header.clone());
        rig.driver.drain(&mut Taken::default(), each).expect("no violation");
        assert_eq!(headers.first().map(Vec::as_slice), header.as_ref().map(|header| &header[..]));
        assert_eq!(rig.stats().frames_taken, 1);
    }
}

#[test]
fn anything_that_has_bytes_is_a_frame() {
    fn len(frame: &(impl Frame + ?Sized)) -> usize {
        assert!(frame.meta().is_plain());
        frame.bytes().len()
    }
    assert_eq!(len(&vec![0; 60]), 60);
    assert_eq!(len(&[0; 60]), 60);
    assert_eq!(len(&vec![0; 60].into_boxed_slice()), 60);
    assert_eq!(len(&std::sync::Arc::<[u8]>::from(vec![0; 60])), 60);
    assert_eq!(len([0_u8; 60].as_slice()), 60);
    assert_eq!(len(&Tagged { frame: [0; 60], meta: FrameMeta::PLAIN }), 60);
}

#[test]
fn a_wake_is_worth_one_wait() {
    let (_frames, receiver) = unbounded::<Vec<u8>>();
    let mut source = ChannelSource::new(receiver);
    let waker = source.waker();
    for _ in 0..3 {
        waker.wake_by_ref();
    }
    source.wait(None).expect("it waits");
    let (done, over) = mpsc::channel();
    let waiting = thread::spawn(move || done.send(source.wait(None).is_ok()));
    assert!(over.recv_timeout(QUIET).is_err(), "all three were for the first wait");
    waker.wake_by_ref();
    assert_eq!(over.recv_timeout(STUCK), Ok(true));
    assert!(waiting.join().is_ok());
    // The source is gone.
    waker.wake();
}
