//! One connection's sending side, without sockets and without a clock.
//!
//! ```text
//! guest's segments --View::segment--> View --take--> News --Conn::heard--> Conn --plan--> Step --sent--> Conn
//!                                                     time --Conn::on_time----^
//! ```
//!
//! A [`View`] gathers what the guest says, in whatever order and from whatever thread; a [`Conn`] decides what is
//! sent next, and is told the time. Both allocate nothing. The [source](crate::TcpSource) puts sockets and guest
//! buffers around them; fuzz targets and property tests drive them as they are.
//!
//! # What it keeps
//! * Nothing is sent beyond the guest's window, whatever the guest does with it.
//! * What was sent and not acknowledged is sent again: after three duplicate acknowledgements (RFC 5681, with partial
//!   acknowledgements as in RFC 6582) or when the time is over (RFC 6298, backing off).
//! * A shut window is probed for as long as there is something to send (RFC 9293, 3.8.6.1). The probe carries no
//!   data: its sequence number is one that the guest has, so it has to answer.
//! * A reset or a FIN counts only in the window that the guest may send in (RFC 9293, 3.10.7.4), so that window has to be
//!   told as it moves.
//! * There is no congestion window: the path is a ring in memory, and the guest's window is all it has to be asked
//!   for.

mod conn;
mod recovery;
mod rto;
mod seq;
mod step;
mod view;

pub use conn::Conn;
pub use rto::Rto;
pub use seq::Seq;
pub use step::{Control, Counts, Fate, Start, Step};
pub use view::{AckBeyond, News, Segment, View};

#[cfg(test)]
mod tests;
