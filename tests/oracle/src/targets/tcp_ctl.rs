//! Arbitrary acknowledgements, windows, ends and delays, against the machine of a promoted connection.
//!
//! ```text
//! first number 4 | window 2 | scale 1 | MSS 2 | steps: what 1, ...
//! ```
//!
//! Whatever the guest says: nothing is sent beyond the window it last gave, bytes are sent in order and kept until
//! they are acknowledged, the end is told once, time is only asked for while an answer is waited for. Resets and FINs
//! outside of the receive window are not believed. A guest that kept the rules so far, and goes on to, gets everything,
//! whatever resets others send in its name.

use std::time::{Duration, Instant};

use netrx_tcp::machine::{Conn, Control, Fate, News, Segment, Seq, Start, Step, View};

use super::input::Input;

/// Where the guest's own numbers begin, and how many it may send from there on.
const RECEIVED: u32 = 77;
const RECEIVE_WINDOW: u32 = 1000;
/// Where a guest ends that keeps the rules: behind all that is received before.
const LAST: u32 = RECEIVED + 300;

/// A connection, and what must be true of it.
struct Rig {
    conn: Conn,
    view: View,
    now: Instant,
    /// What the machine was told last.
    told: News,
    /// The number after the last byte that was sent, and of the FIN if that was.
    next: Seq,
    fin: Option<Seq>,
    finished: bool,
    /// The next number expected from the guest, and how many it may send from there on.
    expected: (Seq, u32),
    /// What the guest was to be believed: a reset, and the number after its FIN.
    reset: bool,
    guests_end: Option<Seq>,
    /// The guest said nothing that no guest says.
    honest: bool,
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let mut rig = Rig::new(&mut input);
    for _ in 0..256 {
        if input.is_empty() {
            break;
        }
        rig.step(&mut input);
        rig.check();
    }
    if rig.honest && rig.conn.fate().is_none() {
        rig.finish();
    }
}

impl Rig {
    fn new(input: &mut Input<'_>) -> Self {
        let next = Seq(input.quad() as u32);
        let window = u32::from(input.word());
        let scale = input.byte() % 15;
        let mss = u32::from(input.word()).max(48);
        let received = Seq(RECEIVED);
        let mut view = View::new(next, window, scale, received, RECEIVE_WINDOW);
        let start = Start { next, window, mss, received, one_flight: mss % 7 == 0 };
        let told = view.take();
        Self {
            conn: Conn::new(start),
            view,
            now: Instant::now(),
            told,
            next,
            fin: None,
            finished: false,
            expected: (received, RECEIVE_WINDOW),
            reset: false,
            guests_end: None,
            honest: true,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 13 {
            0..2 => self.acknowledge(input.word(), input.word()),
            2 => self.repeat(input.byte()),
            3 => self.arbitrary(input),
            4..6 => {
                self.send(input.word());
            }
            6 => self.pass(Duration::from_millis(50) * u32::from(input.byte())),
            7 => self.pass_to_deadline(),
            8 => self.receive(RECEIVED + u32::from(input.byte()), u32::from(input.word())),
            9 => self.conn.set_readable(input.byte() & 1 == 0, self.now),
            10 => self.end_of_stream(),
            11 => self.hear(),
            _ => self.rarely(input),
        }
    }

    /// The guest has so much more of what was sent, and takes a window.
    fn acknowledge(&mut self, more: u16, window: u16) {
        let flight = self.conn.next().since(self.told.ack);
        let ack = self.told.ack + u32::from(more).min(flight);
        self.say(Segment { seq: RECEIVED, ack: ack.0, window, ..Segment::default() });
        self.hear();
    }

    /// Duplicates.
    fn repeat(&mut self, times: u8) {
        let segment = Segment { seq: RECEIVED, ack: self.told.ack.0, ..Segment::default() };
        (0..times % 8).for_each(|_| self.say(segment));
        self.hear();
    }

    fn arbitrary(&mut self, input: &mut Input<'_>) {
        let numbers = input.quad();
        let (seq, ack) = (numbers as u32, (numbers >> 32) as u32);
        let (window, payload, flags) = (input.word(), u32::from(input.word()), input.byte());
        self.honest = false;
        self.say(Segment { seq, ack, window, payload, fin: flags & 1 == 1, rst: flags == 0xfe });
    }

    fn say(&mut self, segment: Segment) {
        let sent = self.conn.next();
        let said = self.view.segment(&segment, sent);
        self.believe(segment, said.is_ok());
        if segment.rst || Seq(segment.ack).since(self.told.ack) <= sent.since(self.told.ack) {
            assert!(said.is_ok(), "{segment:?}");
        } else if Seq(segment.ack).is_after(sent) {
            assert!(said.is_err(), "{segment:?}");
        }
    }

    /// Enters a reset or a FIN if it is to be believed, and checks that the view does as much.
    fn believe(&mut self, segment: Segment, is_taken: bool) {
        let (expected, window) = self.expected;
        let is_within = |number: Seq, most: u64| u64::from(number.since(expected)) <= most;
        let end = Seq(segment.seq) + segment.payload + 1;
        if segment.rst {
            self.reset |= is_within(Seq(segment.seq), window.into());
        } else if segment.fin && is_taken && is_within(end, u64::from(window) + 1) {
            self.guests_end.get_or_insert(end);
        }
        let mut view = self.view;
        let (news, believed) = (view.take(), (self.reset, self.guests_end));
        assert_eq!((news.reset, news.fin), believed, "{segment:?} at {:?}", self.expected);
    }

    /// The datapath received everything before `next`, and takes so much more.
    fn receive(&mut self, next: u32, window: u32) {
        self.view.received(Seq(next), window);
        if !self.expected.0.is_after(Seq(next)) {
            self.expected = (Seq(next), window);
        }
    }

    fn hear(&mut self) {
        let news = self.view.take();
        assert_eq!((news.received, news.receive_window), self.expected);
        if self.conn.fate().is_none() {
            assert!(!self.told.ack.is_after(news.ack) && !news.ack.is_after(self.conn.next()), "{news:?}");
            let window = if news.heard { news.window } else { self.told.window };
            self.told = News { window, ..news };
        }
        self.conn.heard(&news, self.now);
    }

    fn end_of_stream(&mut self) {
        self.finished = true;
        self.conn.finish(self.now);
    }

    fn rarely(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            0 => self.conn.fail(),
            1 => self.view.abandon(),
            2 => self.say(Segment { seq: self.expected.0.0, rst: true, ..Segment::default() }),
            3 => self.say(Segment { seq: self.near_window(input), rst: true, ..Segment::default() }),
            4 => self.end_somewhere(input),
            _ => {}
        }
    }

    /// A number about the window that the guest may send in.
    fn near_window(&self, input: &mut Input<'_>) -> u32 {
        let (expected, window) = self.expected;
        let from = if input.byte() & 1 == 0 { expected } else { expected + window };
        from.0.wrapping_add_signed(i16::from_le_bytes(input.word().to_le_bytes()).into())
    }

    /// The guest's end, in the window or not.
    fn end_somewhere(&mut self, input: &mut Input<'_>) {
        let (seq, payload, ack) = (self.near_window(input), input.byte().into(), self.told.ack.0);
        self.honest = false;
        self.say(Segment { seq, ack, payload, fin: true, ..Segment::default() });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.conn.on_time(self.now);
    }

    fn pass_to_deadline(&mut self) {
        self.now = self.conn.deadline().map_or(self.now, |deadline| deadline.max(self.now));
        self.conn.on_time(self.now);
    }

    /// Carries a step out, with up to `most` bytes; whether there was one.
    fn send(&mut self, most: u16) -> bool {
        let Some(step) = self.conn.plan() else { return false };
        assert_eq!(self.conn.plan(), Some(step), "a plan is a plan");
        let len = match step {
            Step::Data { seq, most: room, again } => self.data(seq, room, again, most),
            Step::Control(control, seq) => self.control(control, seq),
        };
        self.conn.sent(step, len, self.now);
        true
    }

    fn data(&mut self, seq: Seq, room: u32, again: bool, most: u16) -> u32 {
        let len = room.min(u32::from(most).max(1));
        let from_ack = seq.since(self.told.ack);
        assert!(len > 0 && from_ack + len <= self.told.window, "{from_ack} + {len} of {}", self.told.window);
        if again {
            assert_eq!(seq, self.told.ack, "the first that is missing");
            assert!(!(seq + room).is_after(self.next), "it was sent before");
        } else {
            assert!(seq == self.next && !self.finished, "in order, and nothing behind the end");
            self.next = seq + len;
        }
        assert!(!self.conn.needed().is_after(seq), "it was not thrown away");
        len
    }

    fn control(&mut self, control: Control, seq: Seq) -> u32 {
        match control {
            Control::Fin => {
                assert!(self.finished && seq == *self.fin.get_or_insert(self.next), "once, behind all bytes");
                assert!(seq.since(self.told.ack) < self.told.window, "within the window");
            }
            Control::Probe => assert_eq!(seq + 1, self.told.ack, "what the guest has"),
            Control::Ack if seq == self.conn.next() => {}
            Control::Ack => {
                assert_eq!(seq, self.told.ack + self.told.window, "the last that the guest takes");
            }
            Control::Reset => assert!(!matches!(self.conn.fate(), None | Some(Fate::Finished))),
        }
        0
    }

    fn check(&self) {
        let end = self.fin.map_or(self.next, |fin| fin + 1);
        assert_eq!(self.conn.next(), end);
        assert!(!self.conn.needed().is_after(self.told.ack), "what is not acknowledged is needed");
        if self.conn.deadline().is_some() {
            assert!(self.conn.in_flight() || self.told.window == 0, "an answer is waited for");
            assert_eq!(self.conn.fate(), None);
        }
        let counts = self.conn.counts();
        assert_eq!(counts.sent as u32, self.next.since(self.first()), "each byte is counted once");
        assert!(counts.acknowledged <= counts.sent);
    }

    /// The first number, as the counts have it.
    fn first(&self) -> Seq {
        Seq(self.next.0.wrapping_sub(self.conn.counts().sent as u32))
    }

    /// The guest takes all there is, and ends as well.
    fn finish(&mut self) {
        self.end_of_stream();
        for _ in 0..1000 {
            while self.send(u16::MAX) {}
            if self.conn.fate().is_some() {
                break;
            }
            let ack = self.conn.next().0;
            self.receive(LAST, RECEIVE_WINDOW);
            self.say(Segment { seq: LAST, ack, window: 5000, payload: 0, fin: true, rst: false });
            self.receive(LAST + 1, RECEIVE_WINDOW);
            self.hear();
            self.check();
        }
        let fate = self.conn.fate();
        assert!(
            matches!(fate, Some(Fate::Finished | Fate::Abandoned | Fate::ResetByGuest)),
            "{:?}",
            self.conn
        );
    }
}
