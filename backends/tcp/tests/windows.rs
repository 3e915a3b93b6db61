//! Which of a guest's segments says how much it takes.

#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

use std::time::Instant;

use netrx_tcp::Segment;
use netrx_tcp::machine::{Conn, Seq, Start, Step, View};

#[test]
fn an_acknowledgement_that_is_news_brings_its_window() {
    let (next, received, now) = (Seq(1000), Seq(7), Instant::now());
    let mut conn = Conn::new(Start { next, window: 5000, mss: 1000, received, one_flight: false });
    let mut view = View::new(next, 5000, 0, received, 100);
    let step = Step::Data { seq: next, most: 5000, again: false };
    assert_eq!(conn.plan(), Some(step));
    conn.sent(step, 5000, now);
    // The guest sent 100 bytes from number 7 on, and something behind them.
    let pure = Segment { seq: 107, ack: 1000, window: 5000, ..Segment::default() };
    view.segment(&pure, conn.next()).expect("it was sent");
    // It sends them again, and says by that what it has got meanwhile; nobody has read that yet.
    let again = Segment { seq: 7, ack: 3000, window: 3000, payload: 100, ..Segment::default() };
    view.segment(&again, conn.next()).expect("it was sent");
    conn.heard(&view.take(), now);
    assert_eq!(conn.plan(), None, "the guest takes nothing beyond 6000, all of which it was sent");
}
