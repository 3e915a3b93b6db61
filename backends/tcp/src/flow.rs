//! A connection in its source: what is to be sent, put into the guest's buffers.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use netrx::space::Lent;
use netrx::spec::{Checksum, SegmentKind, Segmentation};
use netrx::{Features, FrameMeta, Placed, RxSpace};

use crate::handle::{ConnectionId, End, Ended};
use crate::hub::{Arrival, Link};
use crate::machine::{Conn, Control, Fate, News, Seq, Start, Step};
use crate::packet::{Fields, LONGEST, Template, flag};
use crate::places::Place;
use crate::stream::{PeekFrom, Stream};
use crate::sys::{self, Layout};

/// Bytes read by one call into the guest's buffers, at most: four large frames.
const READ_IN_PLACE: usize = 256 << 10;
/// The same into memory of our own.
const READ_AND_COPY: usize = 64 << 10;

/// A connection, its stream, and where the source has it.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) link: Arc<Link>,
    pub(crate) conn: Conn,
    pub(crate) stream: Option<Stream>,
    /// The earliest entry among the timers.
    pub(crate) timer: Option<Instant>,
    /// It waits for its turn.
    pub(crate) queued: bool,
    /// Bytes sent in this turn.
    pub(crate) spent: usize,
    template: Template,
    mss: usize,
    /// What the guest is told: received before this, and so many more bytes may come.
    received: (Seq, u32),
    receive_scale: u8,
    /// What went wrong here.
    wrong: Option<End>,
    place: Place,
}

/// What serving a flow came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// So many bytes went to the guest; there may be more to do.
    Sent(usize),
    /// There is nothing to do.
    Nothing,
    /// The guest has no room.
    NoRoom,
}

impl Flow {
    pub(crate) fn new(arrival: Arrival, peek_from: PeekFrom) -> Self {
        let Arrival { link, promotion, template, place } = arrival;
        let next = Seq(promotion.next);
        let stream = Stream::new(promotion.stream, next, peek_from);
        let mss = usize::from(promotion.mss).min(template.most_payload());
        let conn = Conn::new(Start {
            next,
            window: promotion.window,
            mss: mss as u32,
            received: Seq(promotion.expected),
            one_flight: stream.is_one_flight(),
        });
        Self {
            link,
            conn,
            stream: Some(stream),
            timer: None,
            queued: false,
            spent: 0,
            template,
            mss,
            received: (Seq(promotion.expected), promotion.receive_window),
            receive_scale: promotion.receive_scale,
            wrong: None,
            place,
        }
    }

    /// Takes over what the guest said.
    pub(crate) fn heard(&mut self, news: &News, now: Instant) {
        self.received = (news.received, news.receive_window);
        self.conn.heard(news, now);
        let (needed, in_flight) = (self.conn.needed(), self.conn.in_flight());
        let discarded = self.stream.as_mut().map(|stream| stream.discard(needed, in_flight));
        if let Some(Err(error)) = discarded {
            self.fail(End::Failed(error));
        }
    }

    /// Ends the connection for want of what it needs.
    pub(crate) fn fail(&mut self, why: End) {
        self.conn.fail();
        self.wrong.get_or_insert(why);
    }

    /// What is reported of it at its end.
    pub(crate) fn into_end(self, fate: Fate) -> Ended {
        let end = match (fate, self.wrong) {
            (Fate::Finished, _) => End::Finished,
            (Fate::ResetByGuest, _) => End::ResetByGuest,
            (Fate::Abandoned, _) => End::Abandoned,
            (Fate::TimedOut, _) => End::TimedOut,
            (Fate::Failed, Some(wrong)) => wrong,
            (Fate::Failed, None) => End::Failed(io::ErrorKind::Other.into()),
        };
        Ended { id: ConnectionId(self.link.id), end, counts: self.conn.counts(), _place: self.place }
    }

    /// Sends what is next.
    pub(crate) fn serve(&mut self, space: &mut RxSpace<'_>, scratch: &mut Vec<u8>, now: Instant) -> Served {
        let served = match self.conn.plan() {
            None => Served::Nothing,
            Some(step @ Step::Control(control, seq)) => self.send_control(space, step, control, seq, now),
            Some(step @ Step::Data { seq, most, .. }) => self.send_data(space, scratch, step, seq, most, now),
        };
        self.link.set_sent(self.conn.next());
        if self.conn.has_sent_end() {
            self.link.set_ending();
        }
        served
    }

    fn send_control(
        &mut self,
        space: &mut RxSpace<'_>,
        step: Step,
        control: Control,
        seq: Seq,
        now: Instant,
    ) -> Served {
        let flags = match control {
            Control::Ack | Control::Probe => flag::ACK,
            Control::Fin => flag::ACK | flag::FIN,
            Control::Reset => flag::ACK | flag::RST,
        };
        let frame = self.template.complete(&self.fields(seq, flags), &[]);
        match space.put(frame.as_ref(), FrameMeta::PLAIN) {
            Placed::NoRoom => Served::NoRoom,
            // What is dropped is as good as lost on the way.
            Placed::Delivered | Placed::Dropped(_) => {
                self.conn.sent(step, 0, now);
                Served::Sent(self.template.len())
            }
        }
    }

    fn send_data(
        &mut self,
        space: &mut RxSpace<'_>,
        scratch: &mut Vec<u8>,
        step: Step,
        seq: Seq,
        most: u32,
        now: Instant,
    ) -> Served {
        let sought = self.stream.as_mut().map_or(Ok(()), |stream| stream.seek(seq));
        if let Err(error) = sought {
            self.fail(End::Failed(error));
            return Served::Sent(0);
        }
        let in_place = space.features().has(Features::GUEST_CSUM);
        // One frame is sent again at a time: more of them may have arrived.
        let again = matches!(step, Step::Data { again: true, .. });
        let largest = match (again, self.longest_run(space.features())) {
            (false, run) if in_place => (READ_IN_PLACE / run).max(1) * run,
            (false, run) => READ_AND_COPY / run * run,
            (true, run) => run,
        };
        let most = (most as usize).min(largest);
        let read = if in_place {
            self.read_in_place(space, seq, most)
        } else {
            self.read_and_copy(space, scratch, seq, most)
        };
        self.account(step, read, now)
    }

    /// Enters what was read, and what that says of the stream.
    fn account(&mut self, step: Step, read: Read, now: Instant) -> Served {
        let again = matches!(step, Step::Data { again: true, .. });
        match read {
            Read::Bytes(bytes) if bytes.peeked > 0 => return self.took(step, bytes, now),
            Read::NoRoom => return Served::NoRoom,
            Read::NoBuffers => self.fail(End::NoBuffers),
            // What is to be sent again was there before: somebody else took it.
            Read::Bytes(_) if again => self.fail(End::Failed(io::ErrorKind::UnexpectedEof.into())),
            Read::Bytes(_) => self.finish(now),
            Read::Failed(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Read::Failed(error) if error.kind() == io::ErrorKind::WouldBlock && !again => {
                self.conn.set_readable(false, now);
            }
            Read::Failed(error) => self.fail(End::Failed(error)),
        }
        Served::Sent(0)
    }

    /// Takes note of the stream's end, or that it was only cut off.
    fn finish(&mut self, now: Instant) {
        let closed = self.stream.as_ref().is_some_and(|stream| sys::is_closed(stream.as_fd()));
        // Asked in this order: the guest's end is reported before the stream is shut.
        if closed && !self.link.has_guests_end() {
            self.fail(End::Failed(io::ErrorKind::ConnectionReset.into()));
        } else {
            self.conn.finish(now);
        }
    }

    /// Enters bytes that were read.
    fn took(&mut self, step: Step, bytes: Bytes, now: Instant) -> Served {
        let Bytes { asked, peeked, placed } = bytes;
        let again = matches!(step, Step::Data { again: true, .. });
        let reads_short = self.stream.as_mut().is_none_or(|stream| {
            stream.peeked(peeked);
            stream.reads_short
        });
        if placed > 0 {
            self.conn.sent(step, placed as u32, now);
        }
        if placed < peeked {
            return Served::NoRoom;
        }
        // What comes after these will be news; of the end there may have been news before.
        if peeked < asked && !again && !reads_short {
            self.conn.set_readable(false, now);
        }
        Served::Sent(placed)
    }

    /// Has the system read straight into the guest's buffers, behind headers whose checksums the guest completes.
    fn read_in_place(&self, space: &mut RxSpace<'_>, seq: Seq, most: usize) -> Read {
        let Some(stream) = &self.stream else { return Read::Failed(io::ErrorKind::NotConnected.into()) };
        let run = self.longest_run(space.features());
        let layout = Layout { headers: self.template.len(), run, most };
        let least = layout.headers + most.min(self.mss);
        let mergeable = space.features().has(Features::MRG_RXBUF);
        let Some(mut lent) = space.lend_any(layout.headers + run.min(most), most.div_ceil(run)) else {
            return Read::NoRoom;
        };
        if lent.room(0) < least && mergeable {
            return match lent.too_long() {
                Placed::NoRoom => Read::NoRoom,
                Placed::Delivered | Placed::Dropped(_) => Read::NoBuffers,
            };
        }
        if lent.room(0) <= layout.headers {
            return Read::NoBuffers;
        }
        let (asked, read) = sys::into_guest(stream.as_fd(), &lent, layout);
        let peeked = match read {
            Ok(peeked) => peeked,
            Err(error) => return Read::Failed(error),
        };
        Read::Bytes(Bytes { asked, peeked, placed: self.fill(&mut lent, layout, seq, peeked) })
    }

    /// Puts headers in front of the `peeked` bytes that were read; how many of those are the guest's then.
    fn fill(&self, lent: &mut Lent<'_, '_>, layout: Layout, seq: Seq, peeked: usize) -> usize {
        let mut placed = 0;
        for index in 0..lent.frames() {
            let len = layout.run_of(lent, index).min(peeked - placed);
            if len == 0 {
                break;
            }
            let fields = self.fields(seq + placed as u32, flag::ACK | flag::PSH);
            lent.copy_in(index, self.template.partial(&fields, len).as_ref());
            if lent.fill(layout.headers + len, self.meta(len)) == Placed::NoRoom {
                break;
            }
            placed += len;
        }
        placed
    }

    /// Reads into memory of our own, sums, and copies segment by segment: the guest cannot be asked to complete
    /// checksums, and what is in its memory may have changed before it is summed.
    fn read_and_copy(&self, space: &mut RxSpace<'_>, scratch: &mut Vec<u8>, seq: Seq, most: usize) -> Read {
        let Some(stream) = &self.stream else { return Read::Failed(io::ErrorKind::NotConnected.into()) };
        scratch.resize(LONGEST + READ_AND_COPY, 0);
        let bytes = scratch.get_mut(LONGEST..LONGEST + most).unwrap_or_default();
        let peeked = match sys::into_bytes(stream.as_fd(), bytes) {
            Ok(peeked) => peeked,
            Err(error) => return Read::Failed(error),
        };
        let mut placed = 0;
        while placed < peeked {
            let len = self.mss.min(peeked - placed);
            let fields = self.fields(seq + placed as u32, flag::ACK | flag::PSH);
            if self.put_segment(space, scratch, LONGEST + placed, len, &fields) == Placed::NoRoom {
                break;
            }
            placed += len;
        }
        Read::Bytes(Bytes { asked: most, peeked, placed })
    }

    /// Places the `len` bytes at `at` behind headers, which go over what lies in front of them: that was placed
    /// before.
    fn put_segment(
        &self,
        space: &mut RxSpace<'_>,
        bytes: &mut [u8],
        at: usize,
        len: usize,
        fields: &Fields,
    ) -> Placed {
        let payload = bytes.get(at..at + len).unwrap_or_default();
        let headers = self.template.complete(fields, payload);
        let start = at - self.template.len();
        if let Some(place) = bytes.get_mut(start..at) {
            place.copy_from_slice(headers.as_ref());
        }
        space.put(bytes.get(start..at + len).unwrap_or_default(), FrameMeta::PLAIN)
    }

    /// The most bytes of one frame: as many as the headers can say if the guest cuts it, in whole segments.
    fn longest_run(&self, features: Features) -> usize {
        let cuts = if self.template.is_v6() { Features::GUEST_TSO6 } else { Features::GUEST_TSO4 };
        if features.has(cuts) { self.template.most_payload() / self.mss * self.mss } else { self.mss }
    }

    fn fields(&self, seq: Seq, flags: u8) -> Fields {
        let (ack, window) = self.received;
        let window = u16::try_from(window >> self.receive_scale).unwrap_or(u16::MAX);
        Fields { seq, ack, window, flags }
    }

    fn meta(&self, payload: usize) -> FrameMeta {
        let (start, offset) = self.template.checksum_at();
        let segmentation = Segmentation {
            kind: if self.template.is_v6() { SegmentKind::TcpV6 } else { SegmentKind::TcpV4 },
            size: self.mss as u16,
            header_len: self.template.len() as u16,
            ecn: false,
        };
        FrameMeta {
            checksum: Checksum::Partial { start, offset },
            segmentation: (payload > self.mss).then_some(segmentation),
        }
    }
}

/// What reading came to.
#[derive(Debug)]
enum Read {
    /// None, if the stream has ended.
    Bytes(Bytes),
    Failed(io::Error),
    NoRoom,
    NoBuffers,
}

/// Bytes that were read.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    /// How many could have been read.
    asked: usize,
    /// How many were.
    peeked: usize,
    /// How many are in guest memory.
    placed: usize,
}
