//! The datapath's side: handing connections over, and saying what the guest sends.

use std::io;
use std::sync::Arc;

use crate::hub::{Arrival, Hub, Link};
use crate::machine::{AckBeyond, Counts, Segment, Seq, View};
use crate::places::Place;
use crate::promotion::{Promotion, Refusal, Refused};

/// Hands connections to a [`TcpSource`](crate::TcpSource), from any thread.
///
/// Once all promoters and connections are gone, the source closes.
#[derive(Clone, Debug)]
pub struct Promoter {
    alive: Arc<Alive>,
}

/// As long as this lives there may be new connections.
#[derive(Debug)]
struct Alive(Arc<Hub>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Promoter {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { alive: Arc::new(Alive(hub)) }
    }

    /// Hands a connection over: from now on the source sends all that the guest gets of it.
    ///
    /// # Errors
    /// With the connection, if it makes no sense, was handed over before, or if there is no place for it.
    pub fn promote(&self, promotion: Promotion) -> Result<Connection, Refused> {
        let hub = &self.alive.0;
        let refused = |reason, promotion| Refused { reason, promotion: Box::new(promotion) };
        let checked = promotion.template().and_then(|template| Ok((template, hub.place(&promotion)?)));
        let (template, place) = match checked {
            Ok(checked) => checked,
            Err(reason) => return Err(refused(reason, promotion)),
        };
        let link = hub.link(&promotion);
        let connection = Connection { hub: Arc::clone(hub), link: Arc::clone(&link) };
        match hub.arrive(Arrival { link, promotion, template, place }) {
            Ok(()) => Ok(connection),
            Err(arrival) => Err(refused(Refusal::Gone, arrival.promotion)),
        }
    }
}

/// Tells one connection from all others of its source, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A connection that was handed over, to be told what the guest sends; from any thread.
///
/// Nothing here blocks or is lost, however much comes: word of a connection merges until the source looks.
///
/// Dropping it resets the connection, unless that has ended: nobody would tell it of acknowledgements any more.
#[derive(Debug)]
pub struct Connection {
    hub: Arc<Hub>,
    link: Arc<Link>,
}

impl Connection {
    /// Its name, as [`Ended`] has it.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        ConnectionId(self.link.id)
    }

    /// The sequence number after the last that the guest was sent.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.link.sent()
    }

    /// The guest sent this segment: its acknowledgement, window and flags are taken over. Its payload is the
    /// datapath's.
    ///
    /// Every segment of the guest's goes here, the ones without payload too. Segments with SYN, and those without ACK
    /// but for resets, are none of an established connection: they are dropped before.
    ///
    /// A reset counts only if its number lies in the window that the guest may send in, or just behind that; else it is
    /// dropped, which is no error. Neither is a FIN taken that ends elsewhere. So that window is to be
    /// [kept told](Self::received).
    ///
    /// # Errors
    /// When the connection has ended, or the guest acknowledges what it was not sent; nothing changes then.
    pub fn segment(&self, segment: &Segment) -> Result<(), ControlError> {
        self.tell(|view, sent| view.segment(segment, sent))?.map_err(ControlError::from)
    }

    /// Everything before `next` was received from the guest, its FIN included if it sent one, and it may send
    /// `window` bytes (not scaled) from there on.
    ///
    /// It is to be told of all that was received: the guest's [resets and FIN](Self::segment) count from `next` on, to the
    /// end of the window. That end does not go back (RFC 9293, 3.8.6), else they may come from behind it.
    ///
    /// The guest is told, by the next frame with data or by one of its own. To say the same again answers a
    /// keep-alive or a segment that was out of order. `next` never goes back; a smaller one than before only answers.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn received(&self, next: u32, window: u32) -> Result<(), ControlError> {
        self.tell(|view, _| view.received(Seq(next), window))
    }

    fn tell<R>(&self, say: impl FnOnce(&mut View, Seq) -> R) -> Result<R, ControlError> {
        if self.link.has_ended() {
            return Err(ControlError::Ended);
        }
        Ok(self.hub.tell(&self.link, say))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // One that has ended needs no telling.
        let _ = self.tell(|view, _| view.abandon());
    }
}

/// Why word of a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It has ended, or its source has.
    #[error("the connection has ended: answer the guest with a reset")]
    Ended,
    /// The guest acknowledges what it was not sent.
    #[error(transparent)]
    AckBeyond(#[from] AckBeyond),
}

/// A connection has ended, and the source's descriptor of its socket is closed. The datapath drops its clone.
///
/// Its place is free for another connection once this is dropped.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub id: ConnectionId,
    /// How.
    pub end: End,
    /// What happened to it.
    pub counts: Counts,
    pub(crate) _place: Place,
}

/// How a connection ended. But for the first two the guest was sent a reset.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// Both sides sent all they had, and were acknowledged.
    Finished,
    /// The guest reset it.
    ResetByGuest,
    /// Its [`Connection`] was dropped.
    Abandoned,
    /// The guest did not answer for about four minutes, though it had buffers; six or more if it used to be slow.
    TimedOut,
    /// The host's socket failed.
    Failed(io::Error),
    /// The guest's buffers do not even hold the headers of a segment and some of its bytes.
    NoBuffers,
}
