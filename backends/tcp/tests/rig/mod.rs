//! A guest with a TCP stack of its own (smoltcp) behind the fake driver, a datapath, and hosts on the loopback.

#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod card;
pub(crate) mod client;
pub(crate) mod datapath;
pub(crate) mod disturbance;
pub(crate) mod traffic;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use netrx::engine::Stats;
use netrx::{Engine, EngineConfig, Features, FrameSource, Progress};
use netrx_mock::{DriverConfig, FakeDriver, IrqProbe, MockIrq, MockMemory, Rig, Shape, Taken};
use netrx_tcp::{End, Ended, TcpSource};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use card::Card;
use client::Client;
use datapath::{Datapath, port};
use disturbance::{Had, Trouble};

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
    /// What there was of the trouble.
    pub(crate) had: Had,
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
        let driver = DriverConfig::new(64, features, shape);
        let Rig { driver, engine, irq } = Rig::on(&memory, driver, config).expect("a guest");
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
            had: Had::default(),
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
        let client = Client::new(self.sockets.add(socket), port.into(), back);
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
        let (card, random, had, lost) = (&mut self.card, &mut self.random, &mut self.had, self.trouble.lost);
        let take = |taken: &Taken| {
            had.frames += 1;
            // One is lost in any case, however few there are.
            match random.u32(0..10_000) < lost || (lost > 0 && had.frames == SURELY_LOST) {
                true => had.lost += 1,
                false => card.take(taken),
            }
        };
        self.driver.drain(&mut self.taken, take).expect("the guest has no complaint");
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
                let places = self.card.tx.len().min(5);
                let same = |other: &Vec<u8>| port(other) == port(&packet);
                self.had.overtaken += u64::from(self.card.tx.iter().take(places).any(same));
                self.card.tx.insert(places, packet);
            } else {
                self.hear(&packet);
            }
        }
    }

    /// The datapath's turn with a packet of the guest's.
    fn hear(&mut self, packet: &[u8]) {
        let before = self.datapath.shut;
        self.card.rx.extend(self.datapath.take(packet));
        if self.clients.get(&port(packet)).is_some_and(|client| client.resting > 0) {
            self.had.shut += self.datapath.shut - before;
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

    /// Runs until every client is done and every connection has ended, not without the disturbances; the ends, by port.
    pub(crate) fn finish(&mut self) -> BTreeMap<u16, Ended> {
        let mut ended = BTreeMap::new();
        let clients = self.clients.len();
        self.run(|world| {
            while let Ok(end) = world.ends.try_recv() {
                ended.insert(world.datapath.hang_up(end.id), end);
            }
            ended.len() == clients && world.clients.values().all(|client| client.done)
        });
        self.check();
        self.trouble.check(&self.had);
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

/// All of them ended as they should.
pub(crate) fn all_finished(ended: &BTreeMap<u16, Ended>) {
    for ended in ended.values() {
        assert!(matches!(ended.end, End::Finished), "{ended:?}");
    }
}

/// Whether a reset of the host's has ended it.
pub(crate) fn is_reset_by_host(end: &End) -> bool {
    matches!(end, End::Failed(error) if error.kind() == ErrorKind::ConnectionReset)
}
