//! Word of a connection, from two threads.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::thread;
use std::time::Duration;

use super::*;
use crate::machine::Segment;

#[test]
fn word_of_two_threads_does_not_take_an_acknowledgement_back() {
    let hub = Hub::new(1, Waker::noop().clone());
    let link = Arc::new(Link::new(0, View::new(Seq(0), 60_000, 0, Seq(7), 0), 1000));
    let segment = |ack| Segment { seq: 7, ack, window: 60_000, ..Segment::default() };
    thread::scope(|scope| {
        let older = hub.tell(&link, |view, _| {
            // Another thread has an older segment to tell of, and waits for this one.
            let older = scope.spawn(|| hub.tell(&link, |view, sent| view.segment(&segment(900), sent)));
            thread::sleep(Duration::from_millis(100));
            // More is sent to the guest meanwhile, and acknowledged.
            link.set_sent(Seq(2000));
            view.segment(&segment(2000), Seq(link.sent())).expect("it was sent");
            older
        });
        let _ = older.join().expect("it is well");
    });
    assert_eq!(link.news().ack, Seq(2000));
}
