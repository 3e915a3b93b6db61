//! Channels that are waited for together with others: who is woken when, by how many threads, and that nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use netrx::FrameSource;
use netrx::source::{Watch, Watched};
use netrx_channel::ChannelSource;
use netrx_mock::eventually;

const QUIET: Duration = Duration::from_millis(50);

/// Counts being woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::<Self>::default();
        (Arc::clone(&count), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Waits until it is so many; no more may come.
    fn comes_to(&self, expected: usize) {
        eventually("it is woken", || self.get() >= expected);
        assert_eq!(self.get(), expected);
    }
}

fn channel() -> (ChannelSource<Vec<u8>>, Sender<Vec<u8>>) {
    let (sender, receiver): (_, Receiver<Vec<u8>>) = bounded(1);
    (ChannelSource::new(receiver), sender)
}

/// Watches; returns whether there were frames already.
fn watch(source: &mut ChannelSource<Vec<u8>>, waker: &Waker) -> bool {
    let mut watch = Watch::new(waker);
    assert_eq!(source.watch(&mut watch), Watched::Yes);
    watch.is_ready()
}

fn take(source: &mut ChannelSource<Vec<u8>>) {
    assert!(source.wait(Some(Instant::now())).is_ok());
}

#[test]
fn a_frame_a_wake_and_the_end_of_the_senders_wake_once() {
    let ((mut source, sender), (count, waker)) = (channel(), Count::new());
    assert!(!watch(&mut source, &waker));
    thread::sleep(QUIET);
    assert_eq!(count.get(), 0, "nothing has come");
    source.waker().wake();
    count.comes_to(1);
    take(&mut source);
    assert!(!watch(&mut source, &waker));
    thread::sleep(QUIET);
    assert_eq!(count.get(), 1, "the wake was taken");
    assert!(sender.send(vec![0; 60]).is_ok());
    count.comes_to(2);
    assert!(watch(&mut source, &waker), "the frame is still there");
    let (frames, _) = source.into_parts();
    assert!(frames.recv().is_ok());
    let mut source = ChannelSource::new(frames);
    assert!(!watch(&mut source, &waker));
    drop(sender);
    count.comes_to(3);
}

#[test]
fn watched_again_it_wakes_whom_it_was_told_last() {
    let ((mut source, sender), (old, old_waker), (new, new_waker)) = (channel(), Count::new(), Count::new());
    for _ in 0..3 {
        assert!(!watch(&mut source, &old_waker));
    }
    assert!(!watch(&mut source, &new_waker));
    assert!(sender.send(vec![0; 60]).is_ok());
    new.comes_to(1);
    thread::sleep(QUIET);
    assert_eq!((old.get(), new.get()), (0, 1));
}

#[test]
fn a_source_that_is_gone_holds_no_receiver() {
    let ((mut source, sender), (_, waker)) = (channel(), Count::new());
    let (mut other, _sender) = channel();
    assert!(!watch(&mut source, &waker) && !watch(&mut other, &waker));
    assert!(sender.send(vec![0; 60]).is_ok());
    // A sender that is blocked finds out.
    let blocked = thread::spawn(move || sender.send(vec![0; 60]));
    thread::sleep(QUIET);
    drop(source);
    eventually("the sender is not blocked any more", || blocked.is_finished());
    assert!(blocked.join().is_ok_and(|sent| sent.is_err()));
}

#[test]
fn under_load_no_frame_is_missed() {
    let (count, waker) = Count::new();
    let (mut sources, senders): (Vec<_>, Vec<_>) = (0..8).map(|_| channel()).unzip();
    let sending = thread::spawn(move || {
        for round in 0..2000 {
            assert!(senders[round % 8].send(vec![0; 60]).is_ok());
        }
        senders
    });
    let mut frames = 0;
    while frames < 2000 {
        let before = count.get();
        let ready = sources.iter_mut().map(|source| watch(source, &waker)).filter(|ready| *ready).count();
        if ready == 0 {
            eventually(&format!("it wakes after {frames} frames"), || count.get() > before);
        }
        sources = sources
            .into_iter()
            .map(|source| {
                let (receiver, _) = source.into_parts();
                frames += receiver.try_iter().count();
                ChannelSource::new(receiver)
            })
            .collect();
    }
    assert!(sending.join().is_ok());
}

/// How many threads sleep on channels.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "netrx-channels").count()
}

#[test]
#[cfg(target_os = "linux")]
fn one_thread_sleeps_on_all_channels() {
    let (count, waker) = Count::new();
    let (mut sources, senders): (Vec<_>, Vec<_>) = (0..100).map(|_| channel()).unzip();
    assert!(!sources.iter_mut().any(|source| watch(source, &waker)));
    eventually("the other threads are gone", || threads() == 1);
    assert!(senders.iter().all(|sender| sender.send(vec![0; 60]).is_ok()));
    count.comes_to(100);
    assert_eq!(threads(), 1);
}
