//! The source's conformance suite, for each flavour of channel.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use netrx_channel::ChannelSource;
use netrx_mock::conformance::{self, Feeder};

struct Feed(Sender<Vec<u8>>);

impl Feeder for Feed {
    fn send(&mut self, frame: &[u8]) {
        assert!(self.0.send(frame.to_vec()).is_ok(), "the source is there");
    }
}

fn suite(channel: impl Fn() -> (Sender<Vec<u8>>, Receiver<Vec<u8>>)) {
    let make = || {
        let (frames, receiver) = channel();
        (ChannelSource::new(receiver), Feed(frames))
    };
    conformance::source(make);
    conformance::watched_source(make);
    conformance::closing_source(make);
}

#[test]
fn unbounded_channels() {
    suite(unbounded);
}

#[test]
fn bounded_channels() {
    suite(|| bounded(8));
}
