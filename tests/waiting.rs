//! Sources of different kinds behind one `wait`: a socket, which has a descriptor, and a bare channel, whose sender knows
//! nothing of us. Frames of either, a kick and a stop all end the sleep, with no timer and no thread each; and what a socket
//! notes at the end of a wait of its own it notes here too.
#![cfg(unix)]

use std::error::Error;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use netrx::worker::End;
use netrx::{EngineConfig, Features, FrameSource, Received, RxConfig, RxSpace, RxWorkerSlot, SourceError};
use netrx_channel::ChannelSource;
use netrx_decorators::Merge;
use netrx_mock::conformance::{self, Feeder};
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape, traffic};
use netrx_oracle::threads::activity;
use netrx_socketpair::SocketSource;
use netrx_tcp::{Endpoint, Promotion, Segment, TcpSource};

const STUCK: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(100);

/// Counts how often the sources are waited for.
struct Counted {
    merged: Merge<Box<dyn FrameSource>>,
    waits: Arc<AtomicU64>,
}

impl FrameSource for Counted {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.merged.recv(space)
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.merged.wait(until)
    }

    fn waker(&self) -> Waker {
        self.merged.waker()
    }
}

/// A guest, a worker over both sources, and their far ends.
struct Rig {
    slot: RxWorkerSlot<MockMemory, MockIrq>,
    driver: FakeDriver,
    near: UnixDatagram,
    socket: UnixDatagram,
    channel: Sender<Vec<u8>>,
    name: &'static str,
    waits: Arc<AtomicU64>,
    ended: mpsc::Receiver<()>,
}

/// The worker's thread has that name, of at most 15 bytes, for itself.
fn rig(name: &'static str) -> Result<Rig, Box<dyn Error>> {
    let (near, socket) = SocketSource::pair(1514)?;
    let shut = UnixDatagram::from(near.as_fd().try_clone_to_owned()?);
    let (channel, frames) = bounded(256);
    let (slot, driver, waits, ended) = start(name, [Box::new(near), Box::new(ChannelSource::new(frames))])?;
    Ok(Rig { slot, driver, near: shut, socket, channel, name, waits, ended })
}

type Started = (RxWorkerSlot<MockMemory, MockIrq>, FakeDriver, Arc<AtomicU64>, mpsc::Receiver<()>);

/// A guest, a worker over the sources, how often that waited, and whether it has ended by itself.
fn start(name: &str, sources: [Box<dyn FrameSource>; 2]) -> Result<Started, Box<dyn Error>> {
    let memory = MockMemory::heap(&[1 << 18]);
    let features = Features::VERSION_1 | Features::EVENT_IDX;
    let driver = FakeDriver::new(&memory, DriverConfig::new(16, features, Shape::single(2048)))?;
    let waits = Arc::<AtomicU64>::default();
    let slot = RxWorkerSlot::new(name);
    let (end, ended) = mpsc::channel();
    slot.on_end(move |_| end.send(()).unwrap_or_default());
    slot.deposit_memory(memory);
    slot.deposit_irq(MockIrq::new().0);
    slot.offer_source(0, Counted { merged: Merge::new(sources)?, waits: Arc::clone(&waits) });
    let config =
        RxConfig { ring: driver.ring_config(), features, engine: EngineConfig::default(), restored: false };
    slot.driver_ok(config)?;
    Ok((slot, driver, waits, ended))
}

impl Rig {
    /// Refills and drains until `count` frames have come; returns their numbers.
    fn take(&mut self, count: usize) -> Result<Vec<u64>, Box<dyn Error>> {
        let (mut numbers, begin) = (Vec::new(), Instant::now());
        while numbers.len() < count {
            assert!(begin.elapsed() < STUCK, "only {} of {count} frames came", numbers.len());
            if self.driver.post(usize::MAX).kick {
                self.slot.kick();
            }
            for frame in self.driver.drain_frames()? {
                numbers.push(traffic::number(&frame).ok_or("a frame came changed")?);
            }
            thread::yield_now();
        }
        Ok(numbers)
    }
}

fn frame(number: u64) -> Vec<u8> {
    traffic::frame(number, 100)
}

#[test]
fn either_source_ends_the_sleep() -> Result<(), Box<dyn Error>> {
    let mut rig = rig("netrx-either")?;
    for round in 0..20 {
        thread::sleep(Duration::from_millis(2));
        match round % 2 {
            0 => rig.channel.send(frame(round))?,
            _ => assert_eq!(rig.socket.send(&frame(round))?, 100),
        }
        assert_eq!(rig.take(1)?, [round]);
    }
    Ok(())
}

#[test]
fn both_at_once_lose_nothing_and_keep_their_order() -> Result<(), Box<dyn Error>> {
    let mut rig = rig("netrx-both")?;
    let (channel, socket) = (rig.channel.clone(), rig.socket.try_clone()?);
    let even = thread::spawn(move || (0..2000).step_by(2).all(|number| channel.send(frame(number)).is_ok()));
    let odd = thread::spawn(move || (1..2000).step_by(2).all(|number| socket.send(&frame(number)).is_ok()));
    let numbers = rig.take(2000)?;
    assert!(matches!((even.join(), odd.join()), (Ok(true), Ok(true))));
    for parity in 0..2 {
        let of_one: Vec<u64> = numbers.iter().copied().filter(|number| number % 2 == parity).collect();
        assert!(of_one.iter().copied().eq((parity..2000).step_by(2)), "the order of source {parity}");
    }
    Ok(())
}

impl Rig {
    /// Whether there comes a time in which the worker neither runs nor waits anew.
    fn sleeps(&self) -> bool {
        let now = || (self.waits.load(Ordering::Relaxed), activity(self.name));
        let begin = Instant::now();
        while begin.elapsed() < STUCK {
            let before = now();
            thread::sleep(QUIET);
            if now() == before {
                return true;
            }
        }
        false
    }
}

#[test]
fn nothing_ends_the_sleep_without_a_reason_and_a_stop_does() -> Result<(), Box<dyn Error>> {
    let mut rig = rig("netrx-quiet")?;
    rig.channel.send(frame(0))?;
    assert_eq!(rig.take(1)?, [0]);
    assert!(rig.sleeps());
    assert!(rig.slot.stop()?.is_some_and(|stopped| stopped.report.stats.is_balanced()));
    Ok(())
}

#[test]
fn a_full_guest_is_left_alone_until_it_kicks() -> Result<(), Box<dyn Error>> {
    let mut rig = rig("netrx-full")?;
    for number in 0..100 {
        match number % 2 {
            0 => rig.channel.send(frame(number))?,
            _ => assert_eq!(rig.socket.send(&frame(number))?, 100),
        }
    }
    assert!(rig.sleeps());
    let mut numbers = rig.take(100)?;
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..100));
    assert!(rig.slot.stop()?.is_some_and(|stopped| stopped.report.stats.is_balanced()));
    Ok(())
}

#[test]
fn a_socket_that_is_shut_down_ends_and_the_channel_goes_on() -> Result<(), Box<dyn Error>> {
    let mut rig = rig("netrx-shut")?;
    assert_eq!(rig.socket.send(&frame(0))?, 100);
    assert_eq!(rig.take(1)?, [0]);
    // It is readable without end from here on: its own wait takes note of that, or nobody would ever sleep again.
    rig.near.shutdown(Shutdown::Read)?;
    assert!(rig.sleeps());
    rig.channel.send(frame(1))?;
    assert_eq!(rig.take(1)?, [1]);
    let (channel, _) = bounded(1);
    drop(std::mem::replace(&mut rig.channel, channel));
    rig.ended.recv_timeout(STUCK)?;
    let stopped = rig.slot.stop()?.ok_or("it was running")?;
    assert!(matches!(stopped.report.end, End::Closed), "{:?}", stopped.report.end);
    Ok(())
}

#[test]
fn the_waker_of_the_socket_ends_the_sleep_of_all() -> Result<(), Box<dyn Error>> {
    let (near, _far) = SocketSource::pair(1514)?;
    let waker = near.waker();
    let mut merged = Merge::new([near])?;
    for _ in 0..3 {
        let (waker, begin) = (waker.clone(), Instant::now());
        let waking = thread::spawn(move || {
            thread::sleep(QUIET);
            waker.wake();
        });
        merged.wait(Some(begin + STUCK))?;
        assert!((QUIET / 2..STUCK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
        assert!(waking.join().is_ok());
    }
    Ok(())
}

/// A connection that was handed over wakes the merge by its stream, by word from its handle, and by the time after which its
/// bytes are sent again.
#[test]
fn a_promoted_connection_ends_the_sleep() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let mut far = listener.accept()?.0;
    let (tcp, promoter, _ends) = TcpSource::new(1)?;
    let (_channel, frames) = bounded::<Vec<u8>>(1);
    let sources: [Box<dyn FrameSource>; 2] = [Box::new(tcp), Box::new(ChannelSource::new(frames))];
    let (slot, mut driver, ..) = start("netrx-promoted", sources)?;
    if driver.post(usize::MAX).kick {
        slot.kick();
    }
    let end = |last, addr: &str| -> Result<_, Box<dyn Error>> {
        Ok(Endpoint { mac: [2, 0, 0, 0, 0, last], addr: addr.parse()? })
    };
    let connection = promoter.promote(Promotion {
        stream,
        remote: end(1, "10.0.0.1:80")?,
        guest: end(2, "10.0.0.2:4000")?,
        next: 1000,
        window: u32::from(u16::MAX),
        scale: 0,
        mss: 1460,
        expected: 77,
        receive_window: 1000,
        receive_scale: 0,
    })?;
    let mut next = || -> Result<Vec<u8>, Box<dyn Error>> {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < STUCK, "no frame comes");
            if let Some(frame) = driver.drain_frames()?.pop() {
                return Ok(frame);
            }
            thread::yield_now();
        }
    };
    thread::sleep(QUIET);
    far.write_all(b"to the guest")?;
    let first = next()?;
    assert!(first.ends_with(b"to the guest"));
    assert_eq!(next()?, first, "nobody acknowledged it: it is sent again, at its time");
    connection.segment(&Segment { seq: 77, ack: 1012, window: u16::MAX, ..Segment::default() })?;
    thread::sleep(QUIET);
    connection.received(78, 1000)?;
    assert_eq!(next()?.get(42..46), Some(&78_u32.to_be_bytes()[..]), "what was received is acknowledged");
    Ok(())
}

/// Feeds a socket.
struct Far {
    far: UnixDatagram,
    /// The far end of the source beside it.
    _idle: UnixDatagram,
}

impl Feeder for Far {
    fn send(&mut self, frame: &[u8]) {
        assert!(self.far.send(frame).is_ok_and(|sent| sent == frame.len()));
    }
}

#[test]
fn merged_sockets_pass_the_suite_of_one() -> Result<(), Box<dyn Error>> {
    SocketSource::pair(1514)?;
    conformance::source(|| {
        let pairs = (SocketSource::pair(1514), SocketSource::pair(1514));
        let (Ok((one, far)), Ok((two, idle))) = pairs else { unreachable!("there are sockets to spare") };
        let merged = Merge::new([one, two]).unwrap_or_else(|error| unreachable!("{error}"));
        (merged, Far { far, _idle: idle })
    });
    Ok(())
}
