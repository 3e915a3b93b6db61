//! What is asked of every source. The frames are its own making, so the mock's suites run by what has it make them.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod bare;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::Receiver;

use netrx::Progress;
use netrx_mock::conformance::{self, Event, Events};
use netrx_tcp::{Connection, Ended, Promoter, TcpSource};

use bare::{Bare, pair, promotion};

/// All that a source with one connection hears from: its peer, its datapath, and who hands over more.
struct Far {
    peer: TcpStream,
    connection: Option<Connection>,
    promoter: Promoter,
    another: Option<(Connection, TcpStream)>,
    _ends: Receiver<Ended>,
}

impl Events for Far {
    const EVENTS: &'static [Event<Self>] = &[
        Event { what: "a promotion", happens: Self::promote },
        Event { what: "bytes of the peer", happens: Self::send },
        Event { what: "the peer's end", happens: Self::end },
        Event { what: "word of what was received", happens: Self::receive },
        Event { what: "a connection that is dropped", happens: Self::abandon },
    ];
}

impl Far {
    fn new() -> (TcpSource, Self) {
        let bare = Bare::new(4);
        let (connection, peer) = bare.connect(1000);
        Self::of(bare, connection, peer)
    }

    /// A source that has taken note of the connection and has nothing to do, and its far end.
    fn of(mut bare: Bare, connection: Connection, peer: TcpStream) -> (TcpSource, Self) {
        while bare.turn().0 != Progress::Idle {}
        let Bare { source, promoter, ends, .. } = bare;
        let connection = Some(connection);
        (source, Self { peer, connection, promoter, another: None, _ends: ends })
    }

    fn promote(&mut self) {
        let (near, mut peer) = pair();
        peer.write_all(b"early").expect("it is open");
        near.peek(&mut [0]).expect("they are there before it is handed over");
        let connection = self.promoter.promote(promotion(near, 1000)).expect("it is taken over");
        self.another = Some((connection, peer));
    }

    fn send(&mut self) {
        self.peer.write_all(b"bytes").expect("it is open");
    }

    fn end(&mut self) {
        self.peer.shutdown(Shutdown::Write).expect("it is open");
    }

    fn receive(&mut self) {
        let connection = self.connection.as_ref().expect("it was not dropped");
        connection.received(99, 1000).expect("it is alive");
    }

    fn abandon(&mut self) {
        self.connection = None;
    }
}

#[test]
fn the_suite_of_sources_that_make_their_own_frames() {
    conformance::waiting_source(Far::new);
}

#[test]
fn the_suite_of_sources_that_close() {
    conformance::closing_source(|| {
        let (source, promoter, ends) = TcpSource::new(4).expect("descriptors");
        (source, (promoter, ends))
    });
}

// The descriptor of libkqueue's queues is never readable.
#[cfg(not(libkqueue))]
mod beside_others {
    use super::*;

    /// The far end where a guest has not answered yet.
    struct Unanswered {
        _far: Far,
    }

    impl Events for Unanswered {
        const EVENTS: &'static [Event<Self>] = &[Event { what: "the time to answer", happens: |_| {} }];
    }

    #[test]
    fn the_suite_of_sources_that_are_watched() {
        conformance::watched_source(Far::new);
    }

    #[test]
    fn the_time_to_answer_ends_a_watch() {
        conformance::watched_events(|| {
            let mut bare = Bare::new(4);
            let (connection, mut peer) = bare.connect(1000);
            peer.write_all(b"lost").expect("it is open");
            bare.frames(|frames| !frames.is_empty());
            let (source, far) = Far::of(bare, connection, peer);
            (source, Unanswered { _far: far })
        });
    }
}
