//! Two sources of different kinds behind one `wait`: a socket, which shows a descriptor, and a bare channel, whose sender
//! knows nothing of us. Frames of either, a kick and a stop all end the sleep, with no timer, and one thread for all the
//! channels there may be.
#![cfg(unix)]

use std::error::Error;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, bounded};
use netrx::{EngineConfig, Features, FrameSource, Received, RxConfig, RxSpace, RxWorkerSlot, SourceError};
use netrx_channel::ChannelSource;
use netrx_mock::{DriverConfig, FakeDriver, MockIrq, MockMemory, Shape, traffic};
use netrx_socketpair::SocketSource;

const STUCK: Duration = Duration::from_secs(20);

/// A socket and a channel, in turns. It waits as the socket does; a bridge wakes it for the channel.
struct Both {
    socket: SocketSource,
    channel: ChannelSource<Vec<u8>>,
    bridge: Bridge,
    turn: bool,
    waits: Arc<AtomicU64>,
}

/// A thread that sleeps on channels and wakes the socket's waiter.
struct Bridge {
    /// One token: the channel was found empty, watch it again.
    watch: Sender<()>,
    _thread: JoinHandle<()>,
}

impl Bridge {
    fn new(frames: Receiver<Vec<u8>>, waker: Waker) -> Self {
        let (watch, watched) = bounded(1);
        let body = move || {
            while watched.recv().is_ok() {
                let mut select = Select::new();
                select.recv(&frames);
                select.recv(&watched);
                select.ready();
                waker.wake_by_ref();
            }
        };
        Self { watch, _thread: thread::spawn(body) }
    }
}

impl Both {
    fn new(socket: SocketSource, frames: Receiver<Vec<u8>>) -> Self {
        let bridge = Bridge::new(frames.clone(), socket.waker());
        Self { socket, channel: ChannelSource::new(frames), bridge, turn: false, waits: Arc::default() }
    }
}

impl FrameSource for Both {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.turn = !self.turn;
        let (first, second): (&mut dyn FrameSource, &mut dyn FrameSource) = match self.turn {
            true => (&mut self.socket, &mut self.channel),
            false => (&mut self.channel, &mut self.socket),
        };
        match (first.recv(space)?, second.recv(space)?) {
            (Received::Closed, Received::Closed) => Ok(Received::Closed),
            (Received::More, _) | (_, Received::More) => Ok(Received::More),
            _ => Ok(Received::Empty),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        // A token that finds no place is not needed: the bridge has one.
        let _ = self.bridge.watch.try_send(());
        self.socket.wait(until)
    }

    fn waker(&self) -> Waker {
        self.socket.waker()
    }
}

/// A guest, a worker over both sources, and their far ends.
struct Rig {
    slot: RxWorkerSlot<MockMemory, MockIrq>,
    driver: FakeDriver,
    socket: UnixDatagram,
    channel: Sender<Vec<u8>>,
    waits: Arc<AtomicU64>,
}

fn rig() -> Result<Rig, Box<dyn Error>> {
    let memory = MockMemory::heap(&[1 << 18]);
    let features = Features::VERSION_1 | Features::EVENT_IDX;
    let driver = FakeDriver::new(&memory, DriverConfig::new(16, features, Shape::single(2048)))?;
    let (near, socket) = SocketSource::pair(1514)?;
    let (channel, frames) = bounded(256);
    let both = Both::new(near, frames);
    let waits = Arc::clone(&both.waits);
    let slot = RxWorkerSlot::default();
    slot.deposit_memory(memory);
    slot.deposit_irq(MockIrq::new().0);
    slot.offer_source(0, both);
    let config =
        RxConfig { ring: driver.ring_config(), features, engine: EngineConfig::default(), restored: false };
    slot.driver_ok(config)?;
    Ok(Rig { slot, driver, socket, channel, waits })
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
    let mut frame = Vec::new();
    traffic::make(number, 100, &mut frame);
    frame
}

#[test]
fn either_source_ends_the_sleep() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
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
    let mut rig = rig()?;
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

#[test]
fn nothing_ends_the_sleep_without_a_reason_and_a_stop_does() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    rig.channel.send(frame(0))?;
    assert_eq!(rig.take(1)?, [0]);
    thread::sleep(Duration::from_millis(50));
    let before = rig.waits.load(Ordering::Relaxed);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(rig.waits.load(Ordering::Relaxed), before, "it sleeps");
    assert!(rig.slot.stop()?.is_some_and(|stopped| stopped.report.stats.is_balanced()));
    Ok(())
}
