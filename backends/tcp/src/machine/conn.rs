//! The state of a connection, and what is to be sent next.

use std::time::{Duration, Instant};

use super::recovery::Recovery;
use super::{Control, Counts, Fate, News, Rto, Seq, Start, Step};

/// How often something is sent without any answer before the connection is given up: for nearly four minutes if the guest used
/// to answer quickly, for six if it never has, for more if it was slow.
const MOST_RETRIES: u32 = 10;

/// How far the stream's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    None,
    /// The stream has ended.
    Due,
    /// The guest was told, by this number.
    Sent(Seq),
    Acknowledged,
}

/// The sending side of a connection.
#[derive(Clone, Debug)]
pub struct Conn {
    /// Acknowledged before this, sent before that.
    una: Seq,
    nxt: Seq,
    window: u32,
    /// In what units the guest tells that.
    unit: u32,
    largest_window: u32,
    mss: u32,
    one_flight: bool,
    received: Seq,
    guest_fin: Option<Seq>,
    fin: Fin,
    /// The stream may have bytes that were not sent.
    readable: bool,
    ack_due: bool,
    probe_due: bool,
    reset_due: bool,
    recovery: Recovery,
    rto: Rto,
    deadline: Option<Instant>,
    retries: u32,
    /// A number whose acknowledgement is timed, and since when.
    timed: Option<(Seq, Instant)>,
    fate: Option<Fate>,
    counts: Counts,
}

impl Conn {
    /// A connection whose stream may have bytes.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            una: start.next,
            nxt: start.next,
            window: start.window,
            unit: 1,
            largest_window: start.window,
            mss: start.mss,
            one_flight: start.one_flight,
            received: start.received,
            guest_fin: None,
            fin: Fin::None,
            readable: true,
            ack_due: false,
            probe_due: false,
            reset_due: false,
            recovery: Recovery::default(),
            rto: Rto::new(),
            deadline: None,
            retries: 0,
            timed: None,
            fate: None,
            counts: Counts::default(),
        }
    }

    /// The number after the last that was sent.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.nxt
    }

    /// The number of the first byte of the stream that the guest may still need.
    #[must_use]
    pub fn needed(&self) -> Seq {
        if self.fin == Fin::Acknowledged { self.una.before() } else { self.una }
    }

    /// Whether the guest was sent the end.
    #[must_use]
    pub fn has_sent_end(&self) -> bool {
        matches!(self.fin, Fin::Sent(_) | Fin::Acknowledged)
    }

    /// Whether anything is sent and not acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.una != self.nxt
    }

    /// When to call [`on_time`](Self::on_time), if ever: only while an answer is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How it ended, if it has. A reset may still have to be [sent](Self::plan).
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        self.fate
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether nothing is to be done until the stream has bytes.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        self.fate.is_none() && self.fin == Fin::None && !self.readable && self.room() > 0
    }

    /// The stream has bytes, or has run out of them.
    pub fn set_readable(&mut self, readable: bool, now: Instant) {
        self.readable = readable;
        self.arm(now);
    }

    /// The stream has ended: the guest is told once it has all of it.
    pub fn finish(&mut self, now: Instant) {
        if self.fin == Fin::None {
            (self.fin, self.readable) = (Fin::Due, false);
            self.arm(now);
        }
    }

    /// The stream failed.
    pub fn fail(&mut self) {
        self.end(Fate::Failed);
    }

    /// Takes over what the guest said.
    pub fn heard(&mut self, news: &News, now: Instant) {
        if self.fate.is_some() {
            return;
        }
        if news.reset || news.abandoned {
            let fate = if news.reset { Fate::ResetByGuest } else { Fate::Abandoned };
            return self.end(fate);
        }
        (self.received, self.guest_fin) = (news.received, news.fin.or(self.guest_fin));
        self.ack_due |= news.answer;
        if news.heard {
            let reopened = self.window == 0 && news.window > 0;
            (self.window, self.unit) = (news.window, news.unit);
            self.largest_window = self.largest_window.max(news.window);
            self.acknowledged(news, now);
            // The time that is waited for grew with each probe.
            if reopened && self.in_flight() && self.recovery.reopened() {
                self.rto.answered();
            }
        }
        self.arm(now);
    }

    fn acknowledged(&mut self, news: &News, now: Instant) {
        if news.ack.is_after(self.una) && !news.ack.is_after(self.nxt) {
            self.advance(news.ack, now);
        } else if !self.in_flight() || news.window == 0 {
            // It answers, and takes nothing: that may go on for as long as it likes.
            self.retries = 0;
        }
        if news.window > 0 && !self.in_flight() {
            self.rto.answered();
        }
        if self.in_flight()
            && news.ack == self.una
            && self.recovery.duplicated(self.una, self.nxt, news.duplicates)
        {
            self.counts.losses += 1;
            self.timed = None;
        }
    }

    fn advance(&mut self, ack: Seq, now: Instant) {
        let mut bytes = u64::from(ack.since(self.una));
        if let Fin::Sent(at) = self.fin
            && ack.is_after(at)
        {
            self.fin = Fin::Acknowledged;
            bytes -= 1;
        }
        self.counts.acknowledged += bytes;
        self.una = ack;
        self.retries = 0;
        self.rto.answered();
        if let Some((timed, since)) = self.timed
            && !timed.is_after(ack)
        {
            self.rto.measure(now.saturating_duration_since(since));
            self.timed = None;
        }
        self.recovery.advanced(ack);
        self.deadline = None;
    }

    /// The time is `now`: what is overdue becomes due.
    pub fn on_time(&mut self, now: Instant) {
        if self.fate.is_some() || self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        // What there was no room to send again, nobody could have answered.
        if self.probe_due || self.recovery.is_due() {
            self.deadline = Some(now + self.timeout());
            return;
        }
        self.retries += 1;
        if self.retries > MOST_RETRIES {
            return self.end(Fate::TimedOut);
        }
        self.timed = None;
        self.rto.back_off();
        if self.in_flight() {
            self.counts.timeouts += 1;
            self.recovery.timed_out(self.una, self.nxt);
        } else {
            self.probe_due = true;
        }
        self.deadline = Some(now + self.timeout());
    }

    /// What is to be sent now, if anything.
    #[must_use]
    pub fn plan(&self) -> Option<Step> {
        if self.fate.is_some() {
            return self.reset_due.then_some(Step::Control(Control::Reset, self.acceptable()));
        }
        self.plan_again().or_else(|| self.plan_new()).or_else(|| self.plan_control())
    }

    fn plan_again(&self) -> Option<Step> {
        if !self.recovery.is_due() || !self.in_flight() {
            return None;
        }
        let end = if let Fin::Sent(at) = self.fin { at } else { self.nxt };
        Some(match end.since(self.una).min(self.window) {
            _ if self.window == 0 => Step::Control(Control::Probe, self.una.before()),
            0 => Step::Control(Control::Fin, end),
            most => Step::Data { seq: self.una, most, again: true },
        })
    }

    fn plan_new(&self) -> Option<Step> {
        let room = self.room();
        match self.fin {
            Fin::Due if room > 0 => Some(Step::Control(Control::Fin, self.nxt)),
            Fin::None if self.readable && self.is_worth(room) => {
                Some(Step::Data { seq: self.nxt, most: room, again: false })
            }
            _ => None,
        }
    }

    fn plan_control(&self) -> Option<Step> {
        if self.probe_due {
            return Some(Step::Control(Control::Probe, self.una.before()));
        }
        self.ack_due.then_some(Step::Control(Control::Ack, self.acceptable()))
    }

    /// The number of a segment without data: the next, unless the guest has taken back so much of its window that it would
    /// drop that. Less than a unit is only not told.
    fn acceptable(&self) -> Seq {
        let beyond = self.nxt.since(self.una).saturating_sub(self.window);
        if beyond < self.unit { self.nxt } else { self.una + self.window }
    }

    /// How many bytes the guest takes beyond what it was sent.
    fn room(&self) -> u32 {
        self.window.saturating_sub(self.nxt.since(self.una))
    }

    /// Whether that is not a silly little bit of its window (RFC 9293, 3.8.6.2.1).
    fn is_worth(&self, room: u32) -> bool {
        let much = room >= self.mss || room >= self.largest_window / 2;
        room > 0 && (!self.in_flight() || (much && !self.one_flight))
    }

    /// A step was carried out; of a step with data, `len` bytes were sent.
    pub fn sent(&mut self, step: Step, len: u32, now: Instant) {
        // The guest drops a probe, with what it acknowledges.
        self.ack_due &= matches!(step, Step::Control(Control::Probe, _));
        match step {
            Step::Data { seq, again: true, .. } => self.sent_again(seq, seq + len, now),
            Step::Data { .. } => {
                self.counts.sent += u64::from(len);
                self.sent_new(len, now);
            }
            Step::Control(Control::Fin, at) if at == self.nxt => {
                self.fin = Fin::Sent(at);
                self.sent_new(1, now);
            }
            Step::Control(Control::Fin, at) => self.sent_again(at, at + 1, now),
            Step::Control(Control::Probe, _) => {
                self.counts.probes += 1;
                self.probe_due = false;
                self.recovery.resent(self.una, self.una);
            }
            Step::Control(Control::Reset, _) => self.reset_due = false,
            Step::Control(Control::Ack, _) => {}
        }
        self.arm(now);
    }

    fn sent_new(&mut self, len: u32, now: Instant) {
        self.nxt = self.nxt + len;
        self.timed.get_or_insert((self.nxt, now));
    }

    fn sent_again(&mut self, from: Seq, to: Seq, now: Instant) {
        self.counts.sent_again += u64::from(to.since(from));
        self.recovery.resent(from, to);
        self.timed = None;
        self.deadline = Some(now + self.timeout());
    }

    /// Whether all there is left to do waits for the guest's window.
    fn is_shut_out(&self) -> bool {
        let pending = self.fin == Fin::Due || (self.fin == Fin::None && self.readable);
        pending && self.window == 0 && !self.in_flight()
    }

    /// Starts the clock where an answer is waited for, and stops it where none is.
    fn arm(&mut self, now: Instant) {
        if self.fate.is_some() {
            return;
        }
        if self.in_flight() || self.is_shut_out() {
            let timeout = self.timeout();
            self.deadline.get_or_insert(now + timeout);
        } else {
            (self.deadline, self.probe_due) = (None, false);
        }
        let heard_all = self.guest_fin.is_some_and(|fin| !fin.is_after(self.received));
        if self.fin == Fin::Acknowledged && heard_all && !self.ack_due {
            self.end(Fate::Finished);
        }
    }

    fn timeout(&self) -> Duration {
        self.rto.timeout()
    }

    fn end(&mut self, fate: Fate) {
        if self.fate.is_none() {
            self.fate = Some(fate);
            self.reset_due = !matches!(fate, Fate::Finished | Fate::ResetByGuest);
            (self.deadline, self.readable) = (None, false);
        }
    }
}
