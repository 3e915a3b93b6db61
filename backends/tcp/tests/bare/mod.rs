//! A source, an engine and a fake guest without a TCP stack: the test says what it acknowledges.

#![allow(dead_code, reason = "no test uses all of it")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use netrx::{Engine, Features, FrameSource, Progress};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Rig, Shape};
use netrx_tcp::{Connection, Ended, Endpoint, Promoter, Promotion, Segment, TcpSource};

/// How long anything may take before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
pub(crate) const QUIET: Duration = Duration::from_millis(150);
/// Bytes of the headers of IPv4 frames.
pub(crate) const HEADERS: usize = 54;
/// The first number to the guest.
pub(crate) const FIRST: u32 = 1000;
/// The first number of the guest's, and how many bytes it may send from there on.
pub(crate) const EXPECTED: u32 = 77;
pub(crate) const RECEIVE_WINDOW: u32 = 1000;

pub(crate) struct Bare {
    pub(crate) source: TcpSource,
    pub(crate) promoter: Promoter,
    pub(crate) ends: Receiver<Ended>,
    pub(crate) engine: Engine<MockMemory, MockIrq>,
    pub(crate) driver: FakeDriver,
}

impl Bare {
    pub(crate) fn new(places: usize) -> Self {
        Self::with(places, Features::VERSION_1, Shape::single(2048))
    }

    pub(crate) fn with(places: usize, features: Features, shape: Shape) -> Self {
        let (source, promoter, ends) = TcpSource::new(places).expect("descriptors");
        let driver = DriverConfig::new(16, features, shape);
        let Rig { driver, engine, .. } = Rig::new(driver).expect("a guest");
        Self { source, promoter, ends, engine, driver }
    }

    /// Hands over a new connection with such a window; its handle and the far end.
    pub(crate) fn connect(&self, window: u32) -> (Connection, TcpStream) {
        let (near, far) = pair();
        (self.promoter.promote(promotion(near, window)).expect("it is taken over"), far)
    }

    /// One turn; how it ended, and the frames that came.
    pub(crate) fn turn(&mut self) -> (Progress, Vec<Vec<u8>>) {
        self.driver.post(usize::MAX);
        let progress = self.engine.poll(&mut self.source, Instant::now()).expect("nothing is fatal");
        (progress, self.driver.drain_frames().expect("the guest has no complaint"))
    }

    /// A turn, whatever comes of it.
    pub(crate) fn pass(&mut self) {
        let _ = self.turn();
    }

    /// Turns, with waits between them, until `enough` frames have come.
    pub(crate) fn frames(&mut self, enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let (begin, mut all) = (Instant::now(), Vec::new());
        while !enough(&all) {
            assert!(begin.elapsed() < STUCK, "only {} frames came", all.len());
            let (progress, frames) = self.turn();
            all.extend(frames);
            if progress == Progress::Idle && !enough(&all) {
                self.source.wait(Some(begin + STUCK)).expect("it waits");
            }
        }
        all
    }

    /// The same, of a connection whose guest acknowledges all that comes, and takes so much more.
    pub(crate) fn acknowledged(
        &mut self,
        connection: &Connection,
        window: u16,
        enough: impl Fn(&[Vec<u8>]) -> bool,
    ) -> Vec<Vec<u8>> {
        self.frames(|frames| {
            connection.segment(&ack(connection.next(), window)).expect("it is alive");
            enough(frames)
        })
    }

    /// Turns until a connection has ended.
    pub(crate) fn end(&mut self) -> Ended {
        let begin = Instant::now();
        loop {
            if let Ok(ended) = self.ends.try_recv() {
                return ended;
            }
            assert!(begin.elapsed() < STUCK, "nothing ends");
            if self.turn().0 == Progress::Idle {
                self.source.wait(Some(Instant::now() + Duration::from_millis(10))).expect("it waits");
            }
        }
    }
}

/// A connected pair over the loopback.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    (near, listener.accept().expect("it").0)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A connection of the guest's, from a port of its own.
pub(crate) fn promotion(stream: TcpStream, window: u32) -> Promotion {
    static PORTS: AtomicU16 = AtomicU16::new(4000);
    let port = PORTS.fetch_add(1, Ordering::Relaxed);
    Promotion {
        stream,
        remote: Endpoint { mac: [2, 0, 0, 0, 0, 1], addr: address("10.0.0.1:80") },
        guest: Endpoint { mac: [2, 0, 0, 0, 0, 2], addr: SocketAddr::from(([10, 0, 0, 2], port)) },
        next: FIRST,
        window,
        scale: 0,
        mss: 1460,
        expected: EXPECTED,
        receive_window: RECEIVE_WINDOW,
        receive_scale: 0,
    }
}

/// How many bytes are in the frames.
pub(crate) fn payload(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(|frame| frame.len() - HEADERS).sum()
}

/// The guest's acknowledgement.
pub(crate) fn ack(ack: u32, window: u16) -> Segment {
    Segment { seq: EXPECTED, ack, window, ..Segment::default() }
}

/// The flags of a frame's TCP header.
pub(crate) fn flags(frame: &[u8]) -> u8 {
    frame[47]
}

/// A number of a frame's TCP header, that of its first byte or that of its acknowledgement.
pub(crate) fn number(frame: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) const SEQ: usize = 38;
pub(crate) const ACK: usize = 42;
