//! A guest with a TCP stack of its own (smoltcp) behind the fake driver, a datapath, and hosts on the loopback.

#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod card;
pub(crate) mod datapath;
pub(crate) mod traffic;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use netrx::engine::Stats;
use netrx::ring::SplitRing;
use netrx::{Engine, EngineConfig, Features, FrameSource, Progress};
use netrx_mock::{DriverConfig, FakeDriver, IrqProbe, MockIrq, MockMemory, Shape, Taken};
use netrx_tcp::{End, Ended, TcpSource};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use card::Card;
use datapath::Datapath;
use traffic::Bytes;

/// How long anything may take before it is called stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// All that a guest may leave to its device's other side, of this core's features.
pub(crate) const OFFLOADS: Features = Features(
    Features::VERSION_1.0
        | Features::MRG_RXBUF.0
        | Features::GUEST_CSUM.0
        | Features::GUEST_TSO4.0
        | Features::GUEST_TSO6.0,
);
pub(crate) const PLAIN: Features = Features::VERSION_1;

/// What a test disturbs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Frames in ten thousand that are lost between the ring and the guest's stack.
    pub(crate) lost: u32,
    /// Segments of the guest's in ten thousand that are overtaken by those behind them.
    pub(crate) overtaken: u32,
    /// Times in ten thousand that the guest's application takes a rest, and lets its window shut.
    pub(crate) rests: u32,
}

/// A guest's connection.
pub(crate) struct Client {
    pub(crate) socket: SocketHandle,
    pub(crate) got: Bytes,
    /// What it sends once it got everything.
    back: Bytes,
    to_send: u64,
    resting: u32,
    pub(crate) done: bool,
}

pub(crate) struct World {
    pub(crate) source: TcpSource,
    pub(crate) engine: Engine<MockMemory, MockIrq>,
    pub(crate) irq: IrqProbe,
    pub(crate) driver: FakeDriver,
    pub(crate) datapath: Datapath,
    pub(crate) ends: Receiver<Ended>,
    pub(crate) card: Card,
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) clients: BTreeMap<u16, Client>,
    pub(crate) trouble: Trouble,
    /// Nothing that the guest sends is heard.
    pub(crate) deaf: bool,
    pub(crate) dropped: u64,
    /// Frames so far.
    seen: u64,
    stack: Interface,
    random: fastrand::Rng,
    taken: Taken,
    begin: Instant,
    pub(crate) progress: Progress,
}

/// Which of the frames is lost in any case, if any are.
const SURELY_LOST: u64 = 40;

impl World {
    pub(crate) fn new(features: Features, shape: Shape, trouble: Trouble) -> Self {
        Self::with(features, shape, trouble, EngineConfig::default())
    }

    pub(crate) fn with(features: Features, shape: Shape, trouble: Trouble, config: EngineConfig) -> Self {
        let (source, promoter, ends) = TcpSource::new(1024).expect("descriptors");
        let memory = MockMemory::heap(&[3 << 20, 3 << 20]);
        let driver = FakeDriver::new(&memory, DriverConfig::new(64, features, shape)).expect("it fits");
        let ring = SplitRing::new(driver.ring_config(), features, &memory).expect("it makes sense");
        let (line, irq) = MockIrq::new();
        let engine = Engine::new(ring, memory, line, features, config);
        let mut card = Card::default();
        let now = smoltcp::time::Instant::from_millis(0);
        let mut stack = Interface::new(Config::new(HardwareAddress::Ip), &mut card, now);
        stack.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, 2), 24)).expect("room");
            addresses.push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2), 64)).expect("room");
        });
        Self {
            source,
            engine,
            irq,
            driver,
            datapath: Datapath::new(promoter),
            ends,
            card,
            sockets: SocketSet::new(Vec::new()),
            clients: BTreeMap::new(),
            trouble,
            deaf: false,
            dropped: 0,
            seen: 0,
            stack,
            random: fastrand::Rng::with_seed(7),
            taken: Taken::default(),
            begin: Instant::now(),
            progress: Progress::Idle,
        }
    }

    /// The guest connects from `port` to what `stream` leads to, gets bytes of seed `port`, and sends `back` once
    /// that ended.
    pub(crate) fn connect(&mut self, port: u16, v6: bool, stream: TcpStream, buffer: usize, back: u64) {
        let buffers = |len| tcp::SocketBuffer::new(vec![0; len]);
        let mut socket = tcp::Socket::new(buffers(buffer), buffers(64 << 10));
        let remote = if v6 { IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1) } else { IpAddress::v4(10, 0, 0, 1) };
        socket.connect(self.stack.context(), (remote, 80), port).expect("it can connect");
        let client = Client {
            socket: self.sockets.add(socket),
            got: Bytes::new(port.into()),
            back: Bytes::new(!u64::from(port)),
            to_send: back,
            resting: 0,
            done: false,
        };
        self.datapath.offer(port, stream);
        self.clients.insert(port, client);
    }

    pub(crate) fn socket(&mut self, port: u16) -> &mut tcp::Socket<'static> {
        let socket = self.clients[&port].socket;
        self.sockets.get_mut(socket)
    }

    /// One round: the device's turn, the guest's, the datapath's.
    pub(crate) fn round(&mut self) {
        self.driver.post(usize::MAX);
        self.progress = self.engine.poll(&mut self.source, Instant::now()).expect("nothing is fatal");
        let (card, random, seen, lost) =
            (&mut self.card, &mut self.random, &mut self.seen, self.trouble.lost);
        let mut dropped = 0;
        let take = |taken: &Taken| {
            *seen += 1;
            // One is lost in any case, however few there are.
            match random.u32(0..10_000) < lost || (lost > 0 && *seen == SURELY_LOST) {
                true => dropped += 1,
                false => card.take(taken),
            }
        };
        self.driver.drain(&mut self.taken, take).expect("the guest has no complaint");
        self.dropped += dropped;
        self.guest();
        self.transmit();
    }

    /// The guest's stack and its applications.
    fn guest(&mut self) {
        let now = smoltcp::time::Instant::from_micros(self.begin.elapsed().as_micros() as i64);
        self.stack.poll(now, &mut self.card, &mut self.sockets);
        for client in self.clients.values_mut().filter(|client| !client.done) {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(client.socket);
            if client.resting > 0 {
                client.resting -= 1;
            } else if self.random.u32(0..10_000) < self.trouble.rests {
                client.resting = 400;
            } else {
                client.turn(socket);
            }
        }
        self.stack.poll(now, &mut self.card, &mut self.sockets);
    }

    /// What the guest sent, perhaps out of order.
    fn transmit(&mut self) {
        if self.deaf {
            self.card.tx.clear();
        }
        while let Some(packet) = self.card.tx.pop_front() {
            let overtaken = !self.card.tx.is_empty() && self.random.u32(0..10_000) < self.trouble.overtaken;
            if overtaken {
                self.card.tx.insert(self.card.tx.len().min(5), packet);
            } else if let Some(answer) = self.datapath.take(&packet) {
                self.card.rx.push_back(answer);
            }
        }
    }

    /// Rounds until `done` says so; sleeps as a worker does, as long as the guest has nothing to do.
    pub(crate) fn run(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let mut last = (Instant::now(), self.bytes());
        while !done(self) {
            self.round();
            if self.bytes() != last.1 {
                last = (Instant::now(), self.bytes());
            }
            assert!(last.0.elapsed() < STUCK, "stuck after {} bytes: {:?}", last.1, self.source);
            let busy = self.clients.values().any(|client| client.resting > 0);
            if self.progress == Progress::Idle && self.card.rx.is_empty() && !busy {
                let guest = Duration::from_millis(5);
                self.source.wait(Some(Instant::now() + guest)).expect("it waits");
            }
        }
    }

    /// All that came.
    fn bytes(&self) -> u64 {
        self.clients.values().map(|client| client.got.count()).sum()
    }

    /// Runs until every client is done and every connection has ended; the ends, by port.
    pub(crate) fn finish(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        let clients = self.clients.len();
        self.run(|world| {
            ended.extend(world.ends.try_iter());
            ended.len() == clients && world.clients.values().all(|client| client.done)
        });
        self.check();
        ended
    }

    /// The ledgers and the guest's memory are as they should be.
    pub(crate) fn check(&self) -> Stats {
        self.driver.audit().expect("nothing was written outside of the buffers");
        let stats = self.engine.counters().snapshot();
        assert!(stats.is_balanced(), "{stats:?}");
        stats
    }
}

impl Client {
    /// Has its application do nothing for so many rounds.
    pub(crate) fn rest(&mut self, rounds: u32) {
        self.resting = rounds;
    }

    /// Takes what came and checks it; at the end sends what it has to, and ends.
    fn turn(&mut self, socket: &mut tcp::Socket<'_>) {
        while socket.can_recv() {
            let got = &mut self.got;
            let taken = socket.recv(|bytes| {
                got.check(bytes);
                (bytes.len(), bytes.len())
            });
            assert!(taken.is_ok());
        }
        if socket.state() == tcp::State::CloseWait {
            let left = self.to_send - self.back.count();
            if left == 0 {
                return socket.close();
            }
            let mut back = self.back;
            let sent = socket.send(|room| {
                let len = room.len().min(left as usize);
                back.make(&mut room[..len]);
                (len, len)
            });
            assert!(sent.is_ok());
            self.back = back;
        }
        self.done |= matches!(socket.state(), tcp::State::Closed) && self.got.count() > 0;
    }
}

/// All of them ended as they should.
pub(crate) fn all_finished(ended: &[Ended]) {
    for ended in ended {
        assert!(matches!(ended.end, End::Finished), "{ended:?}");
    }
}
