//! Word that meets a source on its way to sleep, in every interleaving of at most four preemptions. A source that would
//! sleep for ever is a deadlock to loom.

use loom::thread;
use netrx::source::WakeFlag;

use super::*;
use crate::Promoter;

/// A source that only listens, to one connection.
struct Listener {
    hub: Arc<Hub>,
    received: Seq,
    abandoned: bool,
    closed: bool,
}

impl Listener {
    fn listen(&mut self) {
        let mut lists = Lists::default();
        self.hub.take_lists(&mut lists);
        for link in lists.changed {
            let news = link.news();
            self.received = news.received;
            self.abandoned |= news.abandoned;
        }
    }

    /// Whether there is nothing to do but to sleep.
    fn may_sleep(&mut self) -> bool {
        let to_do = self.hub.lie_down();
        self.closed = to_do == ToDo::Over && self.abandoned;
        to_do != ToDo::Work && !self.closed
    }
}

/// Two handles leave word and promoters go while the source `rests` until it has closed.
fn check(rests: impl Fn(&mut Listener, &WakeFlag) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(move || {
        let woken = WakeFlag::default();
        let hub = Arc::new(Hub::new(1, woken.waker()));
        let promoter = Promoter::new(Arc::clone(&hub));
        let link = Arc::new(Link::new(0, View::new(Seq(0), 100, 0, Seq(0), 0), 0));
        let tell = |say: fn(&mut View), promoter: Promoter| {
            let (hub, link) = (Arc::clone(&hub), Arc::clone(&link));
            thread::spawn(move || {
                hub.tell(&link, |view, _| say(view));
                drop(promoter);
            })
        };
        let tellers =
            [tell(|view| view.received(Seq(5), 9), promoter.clone()), tell(View::abandon, promoter)];
        let mut listener = Listener { hub, received: Seq(0), abandoned: false, closed: false };
        while !listener.closed {
            rests(&mut listener, &woken);
        }
        assert_eq!(listener.received, Seq(5), "it closes when there is nothing left to hear");
        for teller in tellers {
            assert!(teller.join().is_ok());
        }
    });
}

#[test]
fn word_meets_a_source_that_goes_to_sleep() {
    check(|listener, woken| {
        listener.listen();
        if listener.may_sleep() {
            woken.wait(None);
        }
    });
}

/// It sleeps by turns where the worker waits for the guest, from which only the end wakes it, and where it waits for frames.
#[test]
fn word_meets_a_source_that_goes_from_one_bed_to_the_other() {
    check(|listener, home| {
        let elsewhere = WakeFlag::default();
        listener.hub.wake_by(elsewhere.waker(), true);
        listener.listen();
        if !listener.abandoned && listener.may_sleep() {
            elsewhere.wait(None);
        }
        listener.hub.wake_by(home.waker(), false);
        listener.listen();
        if listener.may_sleep() {
            home.wait(None);
        }
    });
}
