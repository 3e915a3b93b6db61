//! Whole transfers into a guest with a TCP stack of its own, every byte checked on arrival.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use netrx::Features;
use netrx_mock::Shape;

use rig::disturbance::{CALM, Trouble};
use rig::traffic::{connected, host};
use rig::{OFFLOADS, PLAIN, World, all_finished};

const MIB: u64 = 1 << 20;
const LOSSES: Trouble = Trouble { lost: 100, overtaken: 500, rests: 0 };

/// So many flows of so many bytes each; every second one, or all, over IPv6. Returns the world afterwards.
fn transfer(
    features: Features,
    shape: Shape,
    trouble: Trouble,
    flows: u16,
    bytes: u64,
    v6: fn(u16) -> bool,
) -> World {
    let mut world = World::new(features, shape, trouble);
    let mut hosts = Vec::new();
    for port in 1..=flows {
        let (near, far) = connected(v6(port));
        hosts.push(host(far, port.into(), bytes));
        world.connect(port, v6(port), near, 256 << 10, 0);
    }
    let ended = world.finish();
    all_finished(&ended);
    assert!(ended.values().all(|ended| ended.counts.acknowledged == bytes && ended.counts.sent == bytes));
    assert!(world.clients.values().all(|client| client.got.count() == bytes));
    for host in hosts {
        assert_eq!(host.join().expect("the host is well"), 0);
    }
    let sum = |count: fn(&netrx_tcp::machine::Counts) -> u64| {
        ended.values().map(|ended| count(&ended.counts)).sum::<u64>()
    };
    let (again, losses, timeouts) = (sum(|c| c.sent_again), sum(|c| c.losses), sum(|c| c.timeouts));
    println!("{:?}: {again} bytes again, {losses} losses told, {timeouts} timeouts", world.had);
    if trouble.lost == 0 {
        let is_once = (again, losses) == (0, 0);
        assert!(is_once || timeouts > 0, "nothing is sent twice, unless the machine stood still");
    } else {
        assert!(again > 0, "the test is worth its name");
    }
    world
}

fn merged() -> Shape {
    Shape::single(4096)
}

#[test]
fn one_flow_with_offloads() {
    let world = transfer(OFFLOADS, merged(), CALM, 1, 64 * MIB, |_| false);
    assert!(world.card.largest > 60_000, "large segments were used: {}", world.card.largest);
}

#[test]
fn one_flow_with_offloads_over_ipv6() {
    let world = transfer(OFFLOADS, merged(), CALM, 1, 16 * MIB, |_| true);
    assert!(world.card.largest > 60_000, "large segments were used: {}", world.card.largest);
}

#[test]
fn one_flow_with_offloads_and_losses() {
    transfer(OFFLOADS, merged(), LOSSES, 1, 64 * MIB, |_| false);
}

#[test]
fn one_flow_into_big_chains() {
    let features = OFFLOADS.without(Features::MRG_RXBUF);
    let world = transfer(features, Shape::chained(&[4096, 62_000]), LOSSES, 1, 16 * MIB, |_| false);
    assert!(world.card.largest > 60_000, "large segments were used: {}", world.card.largest);
}

#[test]
fn one_flow_that_leaves_checksums_to_the_guest() {
    let features = Features::VERSION_1 | Features::GUEST_CSUM;
    let world = transfer(features, Shape::single(2048), LOSSES, 1, 16 * MIB, |_| false);
    assert!(world.card.largest <= 1514);
}

#[test]
fn one_flow_without_offloads() {
    let world = transfer(PLAIN, Shape::single(2048), CALM, 1, 32 * MIB, |_| false);
    assert!(world.card.largest <= 1514);
}

#[test]
fn one_flow_without_offloads_and_losses() {
    transfer(PLAIN, Shape::single(2048), LOSSES, 1, 16 * MIB, |_| true);
}

#[test]
fn one_flow_to_a_legacy_driver() {
    transfer(Features::NONE, Shape::chained(&[10, 54, 1984]), LOSSES, 1, 4 * MIB, |_| false);
}

#[test]
fn many_flows_with_offloads_and_losses() {
    transfer(OFFLOADS, merged(), LOSSES, 64, MIB, |port| port % 2 == 0);
}

#[test]
fn many_flows_without_offloads_and_losses() {
    transfer(PLAIN, Shape::single(2048), LOSSES, 64, MIB, |port| port % 2 == 0);
}
