//! The long transfers: `NETRX_TCP_MIB` MiB (1024 unless it says otherwise) over one flow, and over 64, some of which
//! are reset half-way.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netrx::Features;
use netrx_mock::Shape;
use netrx_tcp::{End, Ended};

use rig::disturbance::{CALM, Trouble};
use rig::traffic::{connected, host, host_that_breaks};
use rig::{OFFLOADS, PLAIN, World, is_reset_by_host};

/// How a flow is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    ResetByGuest,
    ResetByHost,
}

fn whole(_: u16) -> Way {
    Way::Whole
}

/// One of eight is reset by the guest, one by the host, half of them over IPv6.
fn some_reset(port: u16) -> Way {
    match port % 16 {
        3 | 8 => Way::ResetByGuest,
        5 | 12 => Way::ResetByHost,
        _ => Way::Whole,
    }
}

/// The flows of a world, and the hosts behind them.
struct Flows {
    world: World,
    way: fn(u16) -> Way,
    /// Bytes of a whole flow.
    bytes: u64,
    hosts: Vec<JoinHandle<u64>>,
    /// By port, what tells the host to reset the connection, and whether it did.
    breaking: BTreeMap<u16, (Arc<AtomicBool>, JoinHandle<bool>)>,
    /// The names of the streams that were handed over.
    streams: Vec<String>,
}

impl Flows {
    fn new(world: World, way: fn(u16) -> Way, bytes: u64) -> Self {
        Self { world, way, bytes, hosts: Vec::new(), breaking: BTreeMap::new(), streams: Vec::new() }
    }

    fn connect(&mut self, port: u16) {
        let v6 = port.is_multiple_of(2);
        let (near, far) = connected(v6);
        self.streams.extend(name(&near));
        self.world.connect(port, v6, near, 256 << 10, 0);
        let way = (self.way)(port);
        if way == Way::Whole {
            return self.hosts.push(host(far, port.into(), self.bytes));
        }
        let told = Arc::new(AtomicBool::new(false));
        let host = host_that_breaks(far, port.into(), Arc::clone(&told));
        self.breaking.insert(port, (told, host));
        if way == Way::ResetByGuest {
            self.world.clients.get_mut(&port).expect("it is there").resets_at = Some(self.bytes / 2);
        } else {
            // So it hears of the end even if the reset is lost.
            self.world.socket(port).set_keep_alive(Some(smoltcp::time::Duration::from_secs(1)));
        }
    }

    /// Runs to the end; has the hosts that are to reset do that half-way.
    fn run(&mut self) -> BTreeMap<u16, Ended> {
        let (breaking, way, half) = (&self.breaking, self.way, self.bytes / 2);
        self.world.run(|world| {
            let to_tell = breaking.iter().filter(|(port, _)| way(**port) == Way::ResetByHost);
            let left = to_tell.filter(|(port, (told, _))| {
                told.store(world.clients[port].got.count() >= half, Ordering::Relaxed);
                !told.load(Ordering::Relaxed)
            });
            left.count() == 0
        });
        self.world.finish()
    }

    /// Each flow ended as it was to, and the guest has what it was to get.
    fn check(self, ended: &BTreeMap<u16, Ended>) {
        for (port, client) in &self.world.clients {
            let (way, ended, got) = ((self.way)(*port), &ended[port], client.got.count());
            assert!(is_end_of(way, &ended.end), "{way:?}, {ended:?}");
            assert!(got == self.bytes || (way != Way::Whole && got >= self.bytes / 2), "{way:?}: {got}");
            let (sent, acknowledged) = (ended.counts.sent, ended.counts.acknowledged);
            assert!(acknowledged <= got && got <= sent, "{got}: {ended:?}");
            assert!(acknowledged == sent || way != Way::Whole, "{ended:?}");
        }
        assert_eq!(self.world.source.connections(), 0);
        // Else hosts would wait for ever.
        self.streams.iter().for_each(|stream| assert!(!is_open(stream), "{stream}"));
        self.hosts.into_iter().for_each(|host| assert_eq!(host.join().expect("the host is well"), 0));
        for (port, (_, host)) in self.breaking {
            let was_told = host.join().expect("the host is well");
            assert_eq!(was_told, (self.way)(port) == Way::ResetByHost, "the other noticed that it is closed");
        }
    }
}

fn is_end_of(way: Way, end: &End) -> bool {
    match (way, end) {
        (Way::Whole, End::Finished) | (Way::ResetByGuest, End::ResetByGuest) => true,
        (Way::ResetByHost, end) => is_reset_by_host(end),
        _ => false,
    }
}

/// What Linux calls a stream, whichever descriptor it has.
#[cfg(target_os = "linux")]
fn name(stream: &TcpStream) -> Option<String> {
    use std::os::fd::AsRawFd;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).expect("it is open");
    Some(link.to_string_lossy().into_owned())
}

/// Other systems do not say.
#[cfg(not(target_os = "linux"))]
fn name(_: &TcpStream) -> Option<String> {
    None
}

/// Whether any descriptor leads to the stream of that name.
fn is_open(name: &str) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").expect("it is there").filter_map(Result::ok);
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link.to_string_lossy() == name)
}

fn bytes() -> u64 {
    let mib = std::env::var("NETRX_TCP_MIB").ok().map(|mib| mib.parse().expect("a number of MiB"));
    mib.unwrap_or(1024_u64) << 20
}

fn transfer(features: Features, trouble: Trouble, count: u16, way: fn(u16) -> Way) {
    let world = World::new(features, Shape::single(4096), trouble);
    let mut flows = Flows::new(world, way, bytes() / u64::from(count));
    (1..=count).for_each(|port| flows.connect(port));
    let begin = Instant::now();
    let ended = flows.run();
    let took = begin.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    let again: u64 = ended.values().map(|ended| ended.counts.sent_again).sum();
    let resets = ended.values().filter(|ended| !matches!(ended.end, End::Finished)).count();
    println!("{count} flows of {} bytes in {took:.1} s, {resets} reset: ", flows.bytes);
    println!("    {:?}, {again} bytes sent again", flows.world.had);
    flows.check(&ended);
}

fn transfers(features: Features) {
    transfer(features, CALM, 1, whole);
    transfer(features, Trouble { lost: 100, overtaken: 500, rests: 50 }, 1, whole);
    transfer(features, Trouble { lost: 100, overtaken: 500, rests: 1 }, 64, some_reset);
}

#[test]
#[ignore = "long: a gibibyte each"]
fn with_offloads() {
    transfers(OFFLOADS);
}

#[test]
#[ignore = "long: a gibibyte each"]
fn without_offloads() {
    transfers(PLAIN);
}
