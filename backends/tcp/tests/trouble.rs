//! Connections that stall, end half-way, or break.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use netrx::engine::WhenFull;
use netrx::{DropReason, EngineConfig, Features};
use netrx_mock::Shape;
use netrx_tcp::{ControlError, End, Ended};
use rustix::net::sockopt::set_socket_linger;
use smoltcp::socket::tcp::State;

use rig::disturbance::{CALM, Trouble};
use rig::traffic::{Bytes, connected, host, host_that_goes_last};
use rig::{OFFLOADS, PLAIN, World, all_finished, is_reset_by_host};

fn world(features: Features, trouble: Trouble) -> World {
    World::new(features, Shape::single(4096), trouble)
}

/// A world with one client that is connected; the host's far end.
fn connection(features: Features) -> (World, TcpStream) {
    let mut world = world(features, CALM);
    let (near, far) = connected(false);
    world.connect(1, false, near, 64 << 10, 0);
    world.run(|world| world.datapath.flows.contains_key(&1));
    (world, far)
}

/// Runs until the connection has ended; how.
fn end(world: &mut World) -> Ended {
    let mut ended = None;
    world.run(|world| {
        ended = world.ends.try_recv().ok();
        ended.is_some()
    });
    world.check();
    assert_eq!(world.source.connections(), 0);
    ended.expect("it has ended")
}

#[test]
fn windows_that_shut_and_acknowledgements_out_of_order_harm_nobody() {
    for features in [OFFLOADS, PLAIN] {
        let mut world = world(features, Trouble { lost: 100, overtaken: 2000, rests: 300 });
        let mut hosts = Vec::new();
        for port in 1..=8 {
            let (near, far) = connected(port % 2 == 0);
            hosts.push(host(far, port.into(), 256 << 10));
            // A small buffer, whose window is shut at every rest.
            world.connect(port, port % 2 == 0, near, 20 << 10, 0);
        }
        all_finished(&world.finish());
        assert!(world.clients.values().all(|client| client.got.count() == 256 << 10));
        for host in hosts {
            assert_eq!(host.join().expect("the host is well"), 0);
        }
    }
}

#[test]
fn what_the_guest_sends_after_the_end_arrives() {
    let mut world = world(OFFLOADS, Trouble { lost: 100, overtaken: 0, rests: 0 });
    let mut hosts = Vec::new();
    for port in 1..=4 {
        let (near, far) = connected(false);
        hosts.push(host(far, port.into(), 300_000));
        world.connect(port, false, near, 64 << 10, 1_000_000);
    }
    all_finished(&world.finish());
    for host in hosts {
        assert_eq!(host.join().expect("the host is well"), 1_000_000, "bytes of the guest's");
    }
}

/// Four guests that end their halves first, with half of the host's bytes still to come; every second over IPv6.
fn guests_go_first(features: Features, trouble: Trouble) {
    let (bytes, back) = (1_000_000, 20_000);
    let mut world = world(features, trouble);
    let mut hosts = Vec::new();
    for port in 1..=4 {
        let (near, far) = connected(port % 2 == 0);
        hosts.push(host_that_goes_last(far, port.into(), bytes));
        // What it sends fits into the sockets: the datapath waits for nobody.
        world.connect(port, port % 2 == 0, near, 64 << 10, back);
        world.clients.get_mut(&port).expect("it is there").goes_first = true;
    }
    all_finished(&world.finish());
    for client in world.clients.values() {
        assert_eq!(client.got.count(), bytes);
        assert!(client.got_after_end >= bytes / 2, "its end came first");
    }
    for host in hosts {
        assert_eq!(host.join().expect("the host is well"), back, "bytes of the guest's");
    }
}

#[test]
fn what_the_host_sends_after_the_guests_end_arrives() {
    guests_go_first(OFFLOADS, CALM);
    guests_go_first(PLAIN, CALM);
}

#[test]
fn what_the_host_sends_after_the_guests_end_arrives_in_spite_of_losses() {
    let trouble = Trouble { lost: 100, overtaken: 2000, rests: 0 };
    guests_go_first(OFFLOADS, trouble);
    guests_go_first(PLAIN, trouble);
}

#[test]
fn a_host_that_resets_resets_the_guest() {
    let (mut world, far) = connection(OFFLOADS);
    set_socket_linger(&far, Some(Duration::ZERO)).expect("it can be told");
    drop(far);
    let Ended { end, .. } = end(&mut world);
    assert!(is_reset_by_host(&end), "{end:?}");
    world.run(|world| world.socket(1).state() == State::Closed);
}

#[test]
fn what_came_before_a_reset_of_the_host_arrives() {
    let (mut world, mut far) = connection(OFFLOADS);
    let mut bytes = vec![0; 10_000];
    Bytes::new(1).make(&mut bytes);
    far.write_all(&bytes).expect("there is room");
    set_socket_linger(&far, Some(Duration::ZERO)).expect("it can be told");
    drop(far);
    // Long enough for the reset to be there first.
    std::thread::sleep(Duration::from_millis(50));
    let ended = end(&mut world);
    assert!(is_reset_by_host(&ended.end) && ended.counts.sent == 10_000, "{ended:?}");
}

#[test]
fn a_guest_that_resets_ends_the_host() {
    let (mut world, mut far) = connection(OFFLOADS);
    world.socket(1).abort();
    assert!(matches!(end(&mut world).end, End::ResetByGuest));
    assert_eq!(
        world.datapath.flows.remove(&1).map(|flow| flow.connection.received(0, 0)),
        Some(Err(ControlError::Ended))
    );
    assert_eq!(far.read(&mut [0; 1]).expect("it ends"), 0);
}

#[test]
fn a_connection_that_is_dropped_is_reset() {
    let (mut world, mut far) = connection(PLAIN);
    drop(world.datapath.flows.remove(&1));
    assert!(matches!(end(&mut world).end, End::Abandoned));
    world.run(|world| world.socket(1).state() == State::Closed);
    assert_eq!(far.read(&mut [0; 1]).expect("it ends"), 0);
}

#[test]
fn a_window_that_opens_unheard_is_found_by_probing() {
    let (mut world, mut far) = connection(OFFLOADS);
    let (mut bytes, mut sent) = (vec![0; 100_000], Bytes::new(1));
    sent.make(&mut bytes);
    far.write_all(&bytes).expect("the system has room");
    world.clients.get_mut(&1).expect("it is there").rest(u32::MAX);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(100) {
        world.round();
    }
    assert_eq!(world.socket(1).recv_queue(), 64 << 10, "its window is shut");
    // It reads, and what it says of that is lost.
    world.clients.get_mut(&1).expect("it is there").rest(0);
    world.deaf = true;
    (0..10).for_each(|_| world.round());
    world.deaf = false;
    world.run(|world| world.clients[&1].got.count() == 100_000);
    drop(far);
    world.run(|world| world.clients[&1].done);
    let ended = world.ends.try_recv().expect("it has ended");
    assert!(ended.counts.probes > 0 && ended.counts.sent_again == 0, "{ended:?}");
}

#[test]
fn nothing_is_dropped_where_the_newest_frames_are() {
    let (flows, bytes, waiting) = (8, 512 << 10, 40_000);
    let engine = EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() };
    let mut world = World::with(OFFLOADS, Shape::single(4096), CALM, engine);
    let mut hosts = Vec::new();
    for port in 1..=flows {
        let (near, far) = connected(false);
        hosts.push(host(far, port.into(), bytes));
        // Together they have more waiting than the ring holds, and each window has room for that.
        while near.peek(&mut vec![0; waiting]).expect("it is open") < waiting {}
        world.connect(port, false, near, 1 << 20, 0);
    }
    let ended = world.finish();
    all_finished(&ended);
    assert!(world.clients.values().all(|client| client.got.count() == bytes));
    hosts.into_iter().for_each(|host| assert_eq!(host.join().expect("the host is well"), 0));
    let stats = world.check();
    assert!(stats.starved > 0 && stats.dropped(DropReason::RingFull) == 0, "{stats:?}");
}
