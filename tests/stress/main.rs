//! Many frames, many restarts, much trouble: nothing is lost, and nothing is left behind.
//!
//! Each test has a small variant that always runs; the long one is ignored and runs with `--ignored`. What they do is
//! drawn from a seed, which a failing test prints:
//!
//! ```text
//! NETRX_SEED=7 NETRX_STRESS_FRAMES=1000000 NETRX_STRESS_CYCLES=200 cargo test --release --test stress -- --ignored
//! ```

mod cycles;
mod flow;
mod trouble;

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use netrx::worker::Report;
use netrx::{Features, FrameSource, RxWorkerSlot};
use netrx_channel::ChannelSource;
use netrx_mock::{GuestThread, MockIrq, MockMemory, Shape, Taken, traffic};

/// What a test returns, so that it can use `?`.
type Tested = Result<(), Box<dyn Error>>;

type Slot = RxWorkerSlot<MockMemory, MockIrq>;

/// How long nothing may happen before a test calls it stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Bytes of a frame.
const FRAME: usize = 60;

/// How much, and drawn from which seed.
#[derive(Clone, Copy, Debug)]
struct Load {
    frames: u64,
    cycles: u64,
    seed: u64,
}

impl Load {
    /// What the environment says, else that much.
    fn of(frames: u64, cycles: u64) -> Self {
        let or = |name, default| match std::env::var(name) {
            Ok(value) => value.parse().unwrap_or_else(|_| unreachable!("{name}={value} is no number")),
            Err(_) => default,
        };
        let load = Self {
            frames: or("NETRX_STRESS_FRAMES", frames),
            cycles: or("NETRX_STRESS_CYCLES", cycles),
            seed: or("NETRX_SEED", fastrand::u64(..)),
        };
        println!(
            "NETRX_SEED={} NETRX_STRESS_FRAMES={} NETRX_STRESS_CYCLES={}",
            load.seed, load.frames, load.cycles
        );
        load
    }
}

/// The tests of this file run one at a time: they count threads and descriptors, and each wants the whole machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The far end of a source: sends a frame, and blocks while there is no room. `false` once nobody receives any more.
type Send = Box<dyn FnMut(&[u8]) -> bool + core::marker::Send>;

fn channel() -> (Box<dyn FrameSource>, Send) {
    let (frames, receiver): (Sender<Vec<u8>>, _) = crossbeam_channel::bounded(512);
    (Box::new(ChannelSource::new(receiver)), Box::new(move |frame| frames.send(frame.to_vec()).is_ok()))
}

#[cfg(unix)]
fn socketpair() -> Result<(Box<dyn FrameSource>, Send), Box<dyn Error>> {
    let (source, far) = netrx_socketpair::SocketSource::pair(2048)?;
    far.set_write_timeout(Some(Duration::from_millis(20)))?;
    let retried = |error: &std::io::Error| {
        use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
            || error.raw_os_error() == Some(libc::ENOBUFS)
    };
    let send = move |frame: &[u8]| loop {
        match far.send(frame) {
            Ok(_) => return true,
            Err(error) if retried(&error) => {}
            Err(_) => return false,
        }
    };
    Ok((Box::new(source), Box::new(send)))
}

/// What the guest has seen so far: frames in order, each of them whole.
#[derive(Clone, Default)]
struct Seen(Arc<(AtomicU64, OnceLock<String>)>);

impl Seen {
    fn frames(&self) -> u64 {
        self.0.0.load(Ordering::Acquire)
    }

    /// The first frame that was not the next one.
    fn wrong(&self) -> Option<&String> {
        self.0.1.get()
    }

    /// Checks the next frame, byte by byte.
    fn check(&self, taken: &Taken) {
        let next = self.0.0.fetch_add(1, Ordering::AcqRel);
        if taken.frame.len() != FRAME || !traffic::is_frame(next, &taken.frame) {
            let found = traffic::number(&taken.frame);
            let _ =
                self.0.1.set(format!("frame {next} has {} bytes and number {found:?}", taken.frame.len()));
        }
    }

    /// Waits until it has seen `frames`, or the guest has ended; fails if nothing comes for long.
    fn reach(&self, frames: u64, guest: &GuestThread) {
        let (mut last, mut since) = (self.frames(), Instant::now());
        while self.frames() < frames && self.wrong().is_none() && !guest.has_ended() {
            std::thread::sleep(Duration::from_millis(2));
            if self.frames() != last {
                (last, since) = (self.frames(), Instant::now());
            }
            assert!(since.elapsed() < STUCK, "stuck at frame {last} of {frames}");
        }
        assert_eq!(self.wrong(), None);
    }
}

/// The ledgers of a worker that ended: every frame and every chain is accounted for.
fn balanced(report: &Report) {
    let stats = &report.stats;
    assert!(stats.is_balanced() && stats.frames_dropped() == 0, "{stats:?}");
    assert_eq!(stats.chains_held(), 0, "nothing is held by a worker that ended: {stats:?}");
    let settled = stats.chains_used + stats.chains_bad + stats.chains_emptied + stats.chains_given_back;
    assert_eq!((stats.chains_popped, stats.chains_bad), (settled, 0), "{stats:?}");
}

/// A way in which the guest is set up.
#[derive(Clone, Debug)]
struct Setup {
    features: Features,
    shape: Shape,
}

impl Setup {
    fn new(features: Features, shape: Shape) -> Self {
        Self { features: Features::VERSION_1 | features, shape }
    }

    /// One buffer a frame, `EVENT_IDX`: what Linux does.
    fn usual() -> Self {
        Self::new(Features::EVENT_IDX, Shape::single(256))
    }

    /// Every way of being notified by every shape of buffers.
    fn all() -> Vec<Self> {
        let merged = Features::MRG_RXBUF;
        let notified = [Features::NONE, Features::EVENT_IDX];
        let shaped = |features| {
            [
                Self::new(features, Shape::single(256)),
                Self::new(features, Shape::chained(&[1, 20, 100])),
                Self::new(features | merged, Shape::single(32)),
                Self::new(features | Features::INDIRECT_DESC, Shape::indirect(&[12, 30, 60])),
            ]
        };
        notified.into_iter().flat_map(shaped).collect()
    }
}
