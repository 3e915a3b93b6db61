//! Connections that have ended hold no descriptor. One test, as the descriptors of others in the same process would be counted
//! as well.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::time::Instant;

use netrx_tcp::{End, Segment};

use bare::{Bare, FIRST, ack};

fn descriptors() -> usize {
    std::fs::read_dir("/dev/fd").expect("the system lists them").count()
}

#[test]
fn descriptors_are_closed_at_once() {
    let mut bare = Bare::new(4);
    bare.pass();
    let before = descriptors();
    for round in 0..200 {
        let (connection, far) = bare.connect(1000);
        bare.pass();
        assert_eq!(descriptors(), before + 2, "ours and the far end's");
        match round % 3 {
            0 => connection.segment(&Segment { rst: true, ..ack(FIRST, 0) }).expect("it is alive"),
            1 => drop(connection),
            // The guest has no room for the reset: the descriptor is closed all the same.
            _ => {
                drop(connection);
                let poll = bare.engine.poll(&mut bare.source, Instant::now());
                assert!(poll.is_ok());
                assert_eq!(descriptors(), before + 1, "round {round}");
            }
        }
        let ended = bare.end();
        assert!(matches!(ended.end, End::ResetByGuest | End::Abandoned));
        assert_eq!(descriptors(), before + 1, "round {round}");
        drop(far);
    }
}
