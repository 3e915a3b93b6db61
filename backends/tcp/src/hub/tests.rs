//! Word of a connection, from two threads.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::*;
use crate::Endpoint;
use crate::machine::Segment;

/// One that is refused leaves nothing behind, however long its promoter lives.
#[test]
fn what_comes_too_late_leaves_no_word() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let end =
        |last, addr: &str| Endpoint { mac: [2, 0, 0, 0, 0, last], addr: addr.parse().expect("an address") };
    let promotion = Promotion {
        stream,
        remote: end(1, "10.0.0.1:80"),
        guest: end(2, "10.0.0.2:4000"),
        next: 1000,
        window: 1000,
        scale: 0,
        mss: 1460,
        expected: 77,
        receive_window: 1000,
        receive_scale: 0,
    };
    let hub = Arc::new(Hub::new(1, Waker::noop().clone()));
    let promoter = crate::Promoter::new(Arc::clone(&hub));
    hub.close();
    assert!(promoter.promote(promotion).is_err());
    assert!(lock(&hub.inbox).lists.changed.is_empty());
}

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
