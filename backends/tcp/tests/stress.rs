//! The long transfers: `NETRX_TCP_MIB` MiB (1024 unless it says otherwise) over one flow, and over 64.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::time::Instant;

use netrx::Features;
use netrx_mock::Shape;

use rig::disturbance::{CALM, Trouble};
use rig::traffic::{connected, host};
use rig::{OFFLOADS, PLAIN, World, all_finished};

fn bytes() -> u64 {
    let mib = std::env::var("NETRX_TCP_MIB").ok().map(|mib| mib.parse().expect("a number of MiB"));
    mib.unwrap_or(1024_u64) << 20
}

fn transfer(features: Features, trouble: Trouble, flows: u16) {
    let bytes = bytes() / u64::from(flows);
    let mut world = World::new(features, Shape::single(4096), trouble);
    let mut hosts = Vec::new();
    for port in 1..=flows {
        let v6 = port % 2 == 0;
        let (near, far) = connected(v6);
        hosts.push(host(far, port.into(), bytes));
        world.connect(port, v6, near, 256 << 10, 0);
    }
    let begin = Instant::now();
    let ended = world.finish();
    all_finished(&ended);
    assert!(world.clients.values().all(|client| client.got.count() == bytes));
    hosts.into_iter().for_each(|host| assert_eq!(host.join().expect("the host is well"), 0));
    let again: u64 = ended.iter().map(|ended| ended.counts.sent_again).sum();
    println!(
        "{flows} flows of {bytes} bytes in {:.1} s: {:?}, {again} bytes sent again",
        begin.elapsed().as_secs_f64(),
        world.had()
    );
}

#[test]
#[ignore = "long: a gibibyte each"]
fn with_offloads() {
    transfer(OFFLOADS, CALM, 1);
    transfer(OFFLOADS, Trouble { lost: 100, overtaken: 500, rests: 50 }, 1);
    transfer(OFFLOADS, Trouble { lost: 100, overtaken: 500, rests: 1 }, 64);
}

#[test]
#[ignore = "long: a gibibyte each"]
fn without_offloads() {
    transfer(PLAIN, CALM, 1);
    transfer(PLAIN, Trouble { lost: 100, overtaken: 500, rests: 50 }, 1);
    transfer(PLAIN, Trouble { lost: 100, overtaken: 500, rests: 1 }, 64);
}
