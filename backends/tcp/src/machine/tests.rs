//! The machine by itself: each rule once.

#![allow(clippy::expect_used, clippy::panic, reason = "what goes wrong fails the test")]

mod transfer;
mod window;

use std::time::{Duration, Instant};

use super::*;

const MSS: u32 = 1000;

/// A connection at this number, the view that goes with it, and the time.
struct Rig {
    conn: Conn,
    view: View,
    now: Instant,
}

impl Rig {
    fn new(next: u32, window: u32) -> Self {
        let (next, received) = (Seq(next), Seq(7));
        let conn = Conn::new(Start { next, window, mss: MSS, received, one_flight: false });
        Self { conn, view: View::new(next, window, 0, received, 100), now: Instant::now() }
    }

    fn plan(&self) -> Option<Step> {
        self.conn.plan()
    }

    /// Sends what is planned, up to `len` bytes of it; the first number, and how many bytes it was.
    fn send(&mut self, len: u32) -> (Seq, u32) {
        match self.plan() {
            Some(step @ Step::Data { seq, most, .. }) => {
                self.conn.sent(step, most.min(len), self.now);
                (seq, most.min(len))
            }
            Some(step @ Step::Control(_, seq)) => {
                self.conn.sent(step, 0, self.now);
                (seq, 0)
            }
            None => panic!("there is something to send"),
        }
    }

    fn hear(&mut self, ack: u32, window: u16) {
        let segment = Segment { seq: 7, ack, window, ..Segment::default() };
        self.view.segment(&segment, self.conn.next()).expect("it was sent");
        self.conn.heard(&self.view.take(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.conn.on_time(self.now);
    }
}

fn data(seq: u32, most: u32, again: bool) -> Option<Step> {
    Some(Step::Data { seq: Seq(seq), most, again })
}

#[test]
fn numbers_wrap() {
    assert!(Seq(5).is_after(Seq(u32::MAX)) && !Seq(u32::MAX).is_after(Seq(5)) && !Seq(5).is_after(Seq(5)));
    assert_eq!((Seq(u32::MAX) + 3, Seq(2).since(Seq(u32::MAX)), Seq(0).before()), (Seq(2), 3, Seq(u32::MAX)));
}

#[test]
fn the_window_is_filled_and_no_more() {
    let mut rig = Rig::new(u32::MAX - 1000, 2500);
    assert_eq!(rig.plan(), data(u32::MAX - 1000, 2500, false));
    rig.send(2000);
    assert_eq!(rig.plan(), None, "half a segment is not worth sending");
    rig.hear(999, 2000);
    assert_eq!(rig.plan(), data(999, 2000, false));
    rig.send(2000);
    rig.hear(999, 2000);
    assert_eq!(rig.plan(), None);
}

#[test]
fn three_duplicates_send_again_once() {
    let mut rig = Rig::new(0, 10_000);
    for _ in 0..5 {
        rig.send(1000);
    }
    rig.hear(0, 10_000);
    rig.hear(0, 10_000);
    assert_eq!(rig.plan(), data(5000, 5000, false), "two may be disorder");
    rig.hear(0, 10_000);
    assert_eq!(rig.plan(), data(0, 5000, true));
    rig.send(1000);
    (0..5).for_each(|_| rig.hear(0, 10_000));
    assert_eq!(rig.plan(), data(5000, 5000, false), "it is on its way");
    rig.hear(2000, 10_000);
    assert_eq!(rig.plan(), data(2000, 3000, true), "a partial acknowledgement names the next hole");
    rig.send(3000);
    rig.hear(3000, 10_000);
    assert_eq!(rig.plan(), data(5000, 8000, false), "which was sent as a whole");
    rig.hear(5000, 10_000);
    rig.send(1000);
    (0..4).for_each(|_| rig.hear(5000, 10_000));
    assert_eq!(rig.plan(), data(6000, 9000, false), "these answer what was sent twice");
    assert_eq!((rig.conn.counts().losses, rig.conn.counts().sent_again), (1, 4000));
}

#[test]
fn a_part_of_a_frame_that_is_lost_again_is_sent_again() {
    let mut rig = Rig::new(0, 10_000);
    rig.send(9000);
    (0..3).for_each(|_| rig.hear(0, 10_000));
    rig.send(9000);
    rig.hear(2000, 10_000);
    assert_eq!(rig.plan(), data(9000, 3000, false), "the rest is on its way");
    (0..3).for_each(|_| rig.hear(2000, 10_000));
    assert_eq!(rig.plan(), data(2000, 7000, true));
}

#[test]
fn time_over_sends_again_later_and_later_and_ends() {
    let mut rig = Rig::new(0, 2000);
    rig.send(2000);
    for time in [1, 2, 4, 8, 16, 32, 60, 60, 60, 60] {
        rig.pass(Duration::from_secs(time) - Duration::from_nanos(1));
        assert_eq!(rig.plan(), None, "{time}");
        rig.pass(Duration::from_nanos(1));
        assert_eq!(rig.plan(), data(0, 2000, true), "{time}");
        rig.send(2000);
    }
    rig.pass(Rto::MOST);
    assert_eq!(rig.conn.fate(), Some(Fate::TimedOut));
    assert_eq!(rig.plan(), Some(Step::Control(Control::Reset, Seq(2000))));
    rig.send(0);
    assert_eq!((rig.plan(), rig.conn.deadline()), (None, None));
}

#[test]
fn what_there_is_no_room_for_does_not_count_as_unanswered() {
    let mut rig = Rig::new(0, 2000);
    rig.send(2000);
    (0..100).for_each(|_| rig.pass(Rto::MOST));
    assert_eq!((rig.plan(), rig.conn.counts().timeouts), (data(0, 2000, true), 1));
    let mut shut = Rig::new(0, 0);
    shut.conn.set_readable(true, shut.now);
    (0..100).for_each(|_| shut.pass(Rto::MOST));
    assert_eq!(shut.plan(), Some(Step::Control(Control::Probe, Seq(0).before())));
    assert_eq!(shut.conn.fate(), None);
}

#[test]
fn the_timeout_follows_the_round_trip_and_ignores_what_was_sent_twice() {
    let mut rig = Rig::new(0, 2000);
    rig.send(1000);
    rig.now += Duration::from_millis(400);
    rig.hear(1000, 2000);
    rig.send(1000);
    // 400 + 4 * 200 ms.
    assert_eq!(rig.conn.deadline(), Some(rig.now + Duration::from_millis(1200)));
    rig.pass(Duration::from_millis(1200));
    rig.send(1000);
    rig.pass(Duration::from_secs(1));
    rig.hear(2000, 2000);
    rig.send(1000);
    assert_eq!(rig.conn.deadline(), Some(rig.now + Duration::from_millis(1200)));
    rig.hear(3000, 2000);
    rig.conn.set_readable(false, rig.now);
    assert_eq!(rig.conn.deadline(), None, "nothing is waited for");
}

#[test]
fn a_shut_window_is_probed_for_ever() {
    let mut rig = Rig::new(0, 1000);
    rig.send(1000);
    rig.hear(1000, 0);
    assert_eq!(rig.plan(), None);
    for round in 0..40 {
        rig.now = rig.conn.deadline().expect("it is timed");
        rig.conn.on_time(rig.now);
        assert_eq!(rig.plan(), Some(Step::Control(Control::Probe, Seq(999))), "{round}");
        rig.send(0);
        rig.hear(1000, 0);
    }
    rig.hear(1000, 500);
    assert_eq!(rig.plan(), data(1000, 500, false));
    assert_eq!((rig.conn.counts().probes, rig.conn.fate()), (40, None));
}

#[test]
fn a_shut_window_costs_nothing_while_there_is_nothing_to_send() {
    let mut rig = Rig::new(0, 1000);
    rig.send(1000);
    rig.conn.set_readable(false, rig.now);
    rig.hear(1000, 0);
    assert_eq!((rig.plan(), rig.conn.deadline(), rig.conn.wants_bytes()), (None, None, false));
    rig.hear(1000, 10);
    assert!(rig.conn.wants_bytes());
}

#[test]
fn a_probe_acknowledges_nothing() {
    let mut rig = Rig::new(0, 1000);
    rig.send(1000);
    rig.hear(1000, 0);
    rig.view.received(Seq(9), 50);
    rig.hear(1000, 0);
    rig.pass(Rto::FIRST);
    assert_eq!(rig.plan(), Some(Step::Control(Control::Probe, Seq(999))));
    rig.send(0);
    assert_eq!(rig.plan(), Some(Step::Control(Control::Ack, Seq(1000))));
    rig.send(0);
    assert_eq!(rig.plan(), None);
}

#[test]
fn a_window_that_shrinks_is_kept_to() {
    let mut rig = Rig::new(0, 5000);
    rig.send(5000);
    rig.hear(0, 700);
    rig.pass(Rto::FIRST);
    assert_eq!(rig.plan(), data(0, 700, true));
    rig.send(700);
    rig.hear(0, 0);
    rig.pass(Rto::MOST);
    assert_eq!(rig.plan(), Some(Step::Control(Control::Probe, Seq(0).before())));
}

#[test]
fn what_has_no_data_lies_within_a_window_that_was_taken_back() {
    for (scale, window, number) in [(0, 700, 700), (0, 0, 0), (3, 600, 4800), (3, 623, 4984), (3, 624, 4999)]
    {
        let mut rig = Rig::new(0, 5000);
        rig.view = View::new(Seq(0), 5000, scale, Seq(7), 100);
        rig.send(4999);
        rig.view.received(Seq(9), 50);
        rig.hear(0, window);
        assert_eq!(rig.plan(), Some(Step::Control(Control::Ack, Seq(number))), "{window} << {scale}");
        rig.conn.fail();
        assert_eq!(rig.plan(), Some(Step::Control(Control::Reset, Seq(number))), "{window} << {scale}");
    }
}

#[test]
fn what_was_lost_is_sent_again_as_soon_as_the_window_opens() {
    let mut rig = Rig::new(0, 5000);
    rig.send(5000);
    rig.hear(0, 0);
    for _ in 0..8 {
        rig.now = rig.conn.deadline().expect("it is timed");
        rig.conn.on_time(rig.now);
        assert_eq!(rig.plan(), Some(Step::Control(Control::Probe, Seq(0).before())));
        rig.send(0);
        rig.hear(0, 0);
    }
    rig.hear(0, 5000);
    assert_eq!(rig.plan(), data(0, 5000, true));
    rig.send(5000);
    assert_eq!(rig.conn.deadline(), Some(rig.now + Rto::FIRST), "it answers again");
}

#[test]
fn the_end_is_told_once_and_again_if_it_is_lost() {
    let mut rig = Rig::new(0, 5000);
    rig.send(1000);
    rig.conn.finish(rig.now);
    assert_eq!(rig.send(0), (Seq(1000), 0));
    assert_eq!((rig.plan(), rig.conn.next()), (None, Seq(1001)));
    rig.hear(1000, 5000);
    assert_eq!(rig.conn.needed(), Seq(1000));
    rig.pass(Rto::FIRST);
    assert_eq!(rig.plan(), Some(Step::Control(Control::Fin, Seq(1000))));
    rig.send(0);
    rig.hear(1001, 5000);
    assert_eq!(
        (rig.conn.needed(), rig.conn.fate(), rig.conn.deadline()),
        (Seq(1000), None, None),
        "half closed"
    );
    rig.view
        .segment(&Segment { seq: 7, ack: 1001, payload: 3, fin: true, ..Segment::default() }, Seq(1001))
        .expect("ok");
    rig.view.received(Seq(11), 50);
    rig.conn.heard(&rig.view.take(), rig.now);
    assert_eq!(rig.conn.fate(), None, "the guest is told first");
    assert_eq!(rig.plan(), Some(Step::Control(Control::Ack, Seq(1001))));
    rig.send(0);
    assert_eq!((rig.conn.fate(), rig.plan()), (Some(Fate::Finished), None));
    assert_eq!(rig.conn.counts().acknowledged, 1000);
}

#[test]
fn resets_are_sent_and_taken() {
    let mut rig = Rig::new(0, 5000);
    rig.conn.fail();
    assert_eq!(rig.plan(), Some(Step::Control(Control::Reset, Seq(0))));
    let mut rig = Rig::new(0, 5000);
    rig.view.segment(&Segment { seq: 7, rst: true, ..Segment::default() }, Seq(0)).expect("resets are taken");
    rig.conn.heard(&rig.view.take(), rig.now);
    assert_eq!((rig.conn.fate(), rig.plan()), (Some(Fate::ResetByGuest), None));
}

#[test]
fn the_view_keeps_the_newest() {
    let mut view = View::new(Seq(100), 10, 2, Seq(7), 0);
    let segment = |seq, ack, window| Segment { seq, ack, window, ..Segment::default() };
    assert_eq!(view.segment(&segment(7, 301, 5), Seq(300)), Err(AckBeyond { ack: 301, sent: 300 }));
    let half_way = Seq(100 + (1 << 31));
    assert!(view.segment(&segment(7, half_way.0, 5), Seq(100)).is_err(), "neither before nor after");
    assert!(!view.take().heard);
    for (seq, ack, window) in [(7, 200, 5), (7, 300, 6), (7, 250, 9), (6, 300, 1), (8, 200, 3)] {
        view.segment(&segment(seq, ack, window), Seq(300)).expect("it was sent");
    }
    let news = view.take();
    assert_eq!((news.ack, news.window, news.duplicates), (Seq(300), 24, 0));
    view.received(Seq(9), 5);
    view.received(Seq(8), 6);
    let news = view.take();
    assert_eq!(
        (news.received, news.receive_window, news.answer, view.take().answer),
        (Seq(9), 5, true, false)
    );
}
