//! What goes into the machine and comes out of it.

use super::Seq;

/// Where a connection stands when it is taken over.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The number of the next byte to the guest. Everything before it is acknowledged.
    pub next: Seq,
    /// How many bytes from there on the guest takes.
    pub window: u32,
    /// Payload bytes of the largest segment that the guest takes; above 0.
    pub mss: u32,
    /// The next byte expected from the guest.
    pub received: Seq,
    /// Whether nothing new can be read while anything is in flight.
    pub one_flight: bool,
}

/// What to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes of the stream from `seq` on, as many as there are, at most `most`.
    Data {
        /// The first byte's number.
        seq: Seq,
        /// How many there may be; above 0.
        most: u32,
        /// Whether they were sent before.
        again: bool,
    },
    /// A segment without data, with this number.
    Control(Control, Seq),
}

/// A segment without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Tells the guest what was received.
    Ack,
    /// The end of the stream.
    Fin,
    /// Asks the guest for its window.
    Probe,
    /// The end of everything.
    Reset,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Both sides sent all they had, and were acknowledged.
    Finished,
    /// The guest reset it.
    ResetByGuest,
    /// Nobody was interested in it any more: the guest is sent a reset.
    Abandoned,
    /// The guest did not answer for too long: it is sent a reset.
    TimedOut,
    /// Its stream failed: the guest is sent a reset.
    Failed,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of the stream that were sent, each counted once.
    pub sent: u64,
    /// Bytes of the stream that the guest acknowledged.
    pub acknowledged: u64,
    /// Bytes that were sent again.
    pub sent_again: u64,
    /// Losses told by duplicate acknowledgements.
    pub losses: u64,
    /// Times that no acknowledgement came in time.
    pub timeouts: u64,
    /// Probes of a shut window.
    pub probes: u64,
}
