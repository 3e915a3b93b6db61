//! A guest over a line that loses, doubles and reorders.

use proptest::prelude::*;

use super::*;

/// A guest that takes what fits its buffer, in any order, and what it says of it.
struct Guest {
    got: Vec<Option<u8>>,
    /// What its application has read.
    read: usize,
    buffer: usize,
    base: u32,
    fin: Option<usize>,
}

impl Guest {
    fn next(&self) -> usize {
        self.got.iter().position(Option::is_none).unwrap_or(self.got.len())
    }

    fn take(&mut self, seq: Seq, bytes: &[u8]) {
        let at = seq.since(Seq(self.base)) as usize;
        assert!(at + bytes.len() <= self.read + self.buffer, "beyond the window");
        for (at, byte) in (at..).zip(bytes) {
            self.got[at].get_or_insert(*byte);
        }
    }

    fn say(&self) -> Segment {
        let next = self.next();
        let fin = usize::from(self.fin == Some(next));
        let ack = self.base.wrapping_add((next + fin) as u32);
        let window = (self.read + self.buffer - next) as u16;
        Segment { seq: 7, ack, window, ..Segment::default() }
    }
}

fn byte(at: usize) -> u8 {
    (at.wrapping_mul(31) >> 3) as u8
}

/// Sends `total` bytes to a guest over a line that `chance` disturbs; the conn at the end.
fn transfer(total: usize, base: u32, buffer: usize, frame: u32, mut chance: impl FnMut() -> u8) -> Conn {
    let mut rig = Rig::new(base, buffer as u32);
    let mut guest = Guest { got: vec![None; total], read: 0, buffer, base, fin: None };
    let mut line: Vec<(Step, u32)> = Vec::new();
    let mut said: Vec<Segment> = Vec::new();
    for _ in 0..200_000 {
        if rig.conn.counts().acknowledged == total as u64 && !rig.conn.in_flight() && guest.fin.is_some() {
            return rig.conn;
        }
        while let Some(step) = rig.plan() {
            let len = match step {
                Step::Data { seq, most, .. } => {
                    let left = total as u32 - seq.since(Seq(base));
                    most.min(frame).min(left)
                }
                Step::Control(..) => 0,
            };
            if len == 0 && matches!(step, Step::Data { .. }) {
                rig.conn.finish(rig.now);
                continue;
            }
            rig.conn.sent(step, len, rig.now);
            line.push((step, len));
        }
        if line.is_empty() && said.is_empty() {
            guest.read = guest.next();
            said.push(guest.say());
            if let Some(deadline) = rig.conn.deadline() {
                rig.now = deadline;
                rig.conn.on_time(deadline);
            }
        }
        if !line.is_empty() {
            let late = if chance() < 20 { line.len() - 1 } else { 0 };
            let (step, len) = line.remove(late);
            if chance() >= 13 {
                match step {
                    Step::Data { seq, .. } => {
                        let from = seq.since(Seq(base)) as usize;
                        let bytes: Vec<u8> = (from..from + len as usize).map(byte).collect();
                        guest.take(seq, &bytes);
                    }
                    Step::Control(Control::Fin, seq) => guest.fin = Some(seq.since(Seq(base)) as usize),
                    Step::Control(..) => {}
                }
                if chance() < 128 {
                    guest.read = guest.next();
                }
                said.push(guest.say());
            }
        }
        if !said.is_empty() && chance() < 200 {
            let late = if chance() < 40 { said.len() - 1 } else { 0 };
            let segment = said.remove(late);
            if chance() >= 13 {
                rig.view.segment(&segment, rig.conn.next()).expect("it was sent");
            }
        }
        if chance() < 200 {
            rig.now += Duration::from_micros(50);
            let news = rig.view.take();
            rig.conn.heard(&news, rig.now);
        }
    }
    panic!("stuck: {:?}, guest at {}", rig.conn, guest.next());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_within_the_window(
        seed: u64, base: u32, total in 0..60_000_usize, buffer in 1..20_000_usize, frame in 1..9000_u32,
    ) {
        let mut state = seed | 1;
        let conn = transfer(total.min(buffer * 50), base, buffer, frame.max(buffer as u32 / 50), || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        prop_assert_eq!(conn.counts().sent, total.min(buffer * 50) as u64);
        prop_assert_eq!(conn.fate(), None);
    }
}

#[test]
fn without_trouble_nothing_is_sent_twice() {
    let conn = transfer(50_000, u32::MAX - 20_000, 8000, 3000, || 150);
    assert_eq!((conn.counts().sent_again, conn.counts().losses, conn.counts().timeouts), (0, 0, 0));
}
