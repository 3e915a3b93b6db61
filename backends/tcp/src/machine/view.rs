//! What the guest says, gathered until the sending side looks.
//!
//! Segments may come faster than the sending side looks at them, and out of order. What they say merges: the latest
//! acknowledgement, the window of the newest segment (RFC 9293, 3.10.7.4), a count of duplicates, the end. So the
//! memory needed does not depend on how many there were.
//!
//! Whoever can send raw frames in the guest can send a reset or a FIN with any number. They count in the receive window
//! only (RFC 9293, 3.10.7.4), all of which counts: it is told late, so an exact match (RFC 5961) would miss true ones.

use super::Seq;

/// What a segment of the guest's says, beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its sequence number.
    pub seq: u32,
    /// Its acknowledgement number.
    pub ack: u32,
    /// Its window, as it stands in the header: not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: u32,
    /// Whether FIN is set.
    pub fin: bool,
    /// Whether RST is set.
    pub rst: bool,
}

/// The guest acknowledges what it was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest acknowledges byte {ack:#x}, but nothing beyond {sent:#x} was sent: drop the segment")]
pub struct AckBeyond {
    /// What it acknowledges.
    pub ack: u32,
    /// The number after the last that was sent.
    pub sent: u32,
}

/// What the guest has said so far.
#[derive(Clone, Copy, Debug)]
pub struct View {
    news: News,
    /// Sequence and acknowledgement number of the segment that the window is from.
    newest: (Seq, Seq),
}

/// What a [`View`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The guest has everything before this.
    pub ack: Seq,
    /// How many bytes from there on it takes.
    pub window: u32,
    /// That is told in units of so many bytes.
    pub unit: u32,
    /// Duplicates of that acknowledgement since the last look.
    pub duplicates: u32,
    /// The number after the guest's FIN, if there was one within its window.
    pub fin: Option<Seq>,
    /// The guest reset the connection, by a number within its window.
    pub reset: bool,
    /// Anything was heard since the last look.
    pub heard: bool,
    /// The next byte expected from the guest: everything before it was received.
    pub received: Seq,
    /// How many bytes from there on the guest may send.
    pub receive_window: u32,
    /// That is to be told to the guest.
    pub answer: bool,
    /// Nobody is interested in the connection any more.
    pub abandoned: bool,
}

impl View {
    /// Whether the connection is over by what was said.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.news.reset || self.news.abandoned
    }

    /// Whether the guest has sent its FIN.
    #[must_use]
    pub const fn has_fin(&self) -> bool {
        self.news.fin.is_some()
    }

    /// The guest has everything before `ack`, takes `window` bytes more, scales its windows by `scale`, and may send
    /// `receive_window` bytes from `received` on.
    #[must_use]
    pub const fn new(ack: Seq, window: u32, scale: u8, received: Seq, receive_window: u32) -> Self {
        let news = News {
            ack,
            window,
            unit: 1 << if scale < 14 { scale } else { 14 },
            duplicates: 0,
            fin: None,
            reset: false,
            heard: false,
            received,
            receive_window,
            answer: false,
            abandoned: false,
        };
        Self { news, newest: (received, ack) }
    }

    /// Takes note of a segment; everything before `sent` was sent to the guest.
    ///
    /// A reset outside of the receive window says nothing. A FIN is not taken if it ends outside of it, and does not move
    /// once it was.
    ///
    /// # Errors
    /// When it acknowledges what comes after that. Nothing of it is taken over then, unless it is a reset.
    pub fn segment(&mut self, segment: &Segment, sent: Seq) -> Result<(), AckBeyond> {
        let (seq, ack) = (Seq(segment.seq), Seq(segment.ack));
        if segment.rst {
            self.news.reset |= self.expects(seq, self.news.receive_window);
            return Ok(());
        }
        // About half-way round, a number may be both before what is acknowledged and beyond what was sent, or
        // neither.
        let current = ack.since(self.news.ack) <= sent.since(self.news.ack);
        if !current && (ack.is_after(sent) || !self.news.ack.is_after(ack)) {
            return Err(AckBeyond { ack: ack.0, sent: sent.0 });
        }
        self.news.heard = true;
        let end = seq + segment.payload + 1;
        // The FIN itself may come behind all that the window has room for.
        if segment.fin && self.expects(end, self.news.receive_window.saturating_add(1)) {
            self.news.fin.get_or_insert(end);
        }
        if current {
            self.acknowledged(seq, ack, segment, sent);
        }
        Ok(())
    }

    /// Whether a number is at most `most` behind the next that is expected from the guest.
    const fn expects(&self, number: Seq, most: u32) -> bool {
        number.since(self.news.received) <= most
    }

    fn acknowledged(&mut self, seq: Seq, ack: Seq, segment: &Segment, sent: Seq) {
        let window = u32::from(segment.window) * self.news.unit;
        let silent = segment.payload == 0 && !segment.fin && window == self.news.window;
        // It never goes back here: what acknowledges more was said later, whatever its number.
        let is_news = ack != self.news.ack;
        if is_news {
            self.news.ack = ack;
            self.news.duplicates = 0;
        } else if silent && sent != ack {
            self.news.duplicates = self.news.duplicates.saturating_add(1);
        }
        let (newest, newest_ack) = self.newest;
        if is_news || seq.is_after(newest) || (seq == newest && !newest_ack.is_after(ack)) {
            self.newest = (seq, ack);
            self.news.window = window;
        }
    }

    /// Everything before `next` was received from the guest, which may send `window` bytes more: it is to be told.
    ///
    /// An earlier `next` than before repeats what was said last.
    pub fn received(&mut self, next: Seq, window: u32) {
        self.news.answer = true;
        if !self.news.received.is_after(next) {
            self.news.received = next;
            self.news.receive_window = window;
        }
    }

    /// Nobody is interested any more.
    pub fn abandon(&mut self) {
        self.news.abandoned = true;
    }

    /// What it came to since the last look.
    pub fn take(&mut self) -> News {
        let news = self.news;
        self.news.duplicates = 0;
        self.news.heard = false;
        self.news.answer = false;
        news
    }
}
