//! The three sources, and what sends frames into them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Instant;

use anyhow::{Result, bail};
use crossbeam_channel::bounded;
use netrx::{FrameSource, Received, RxSpace, SourceError};
use netrx_channel::ChannelSource;
use netrx_pcap::CaptureSource;

use crate::args::{Quota, Source};
use crate::latency::Stamps;
use crate::traffic::{Frame, Traffic};

/// Frames that the channel holds.
const CHANNEL: usize = 256;

/// A source, and what feeds it if it does not feed itself.
pub(crate) struct Feed {
    pub(crate) source: Box<dyn FrameSource>,
    /// Sends until the quota is reached; for a thread of its own.
    pub(crate) send: Option<Box<dyn FnOnce() + Send>>,
}

/// What every feed follows.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) quota: Quota,
    pub(crate) stamps: Arc<Stamps>,
    /// Set from outside: the sending ends, whatever the quota.
    pub(crate) halt: Arc<AtomicBool>,
}

/// What makes a feed.
pub(crate) type Make = fn(Source, Order) -> Result<Feed>;

impl Feed {
    pub(crate) fn new(source: Source, order: Order) -> Result<Self> {
        match source {
            Source::Socketpair => socketpair(order),
            Source::Channel => Ok(channel(order)),
            Source::Pcap => capture(order),
        }
    }
}

impl Order {
    /// Whether the sending has to end for another reason than the number of frames.
    fn is_over(&self) -> bool {
        let late = |time| self.stamps.begin().elapsed() >= time;
        self.halt.load(Ordering::Relaxed) || self.quota.time.is_some_and(late)
    }

    /// Sends frame by frame, until the quota is reached or `send` says that nobody receives.
    pub(crate) fn send_all(&self, mut send: impl FnMut(Frame) -> bool) {
        self.stamps.begin();
        for number in 0..self.quota.frames.unwrap_or(u64::MAX) {
            if self.is_over() {
                return;
            }
            let frame = self.traffic.frame(number);
            self.stamps.sending(number..number + 1, Instant::now());
            if !send(frame) {
                self.stamps.not_sent(number);
                return;
            }
        }
    }
}

/// Sends from the far end of a pair of datagram sockets.
#[cfg(unix)]
fn socketpair(order: Order) -> Result<Feed> {
    let (source, far) = netrx_socketpair::SocketSource::pair(order.traffic.longest())?;
    let send = move || order.send_all(|frame| send_whole(&far, frame.as_ref()));
    Ok(Feed { source: Box::new(source), send: Some(Box::new(send)) })
}

#[cfg(not(unix))]
fn socketpair(_order: Order) -> Result<Feed> {
    bail!("this system has no pairs of datagram sockets: take --source channel")
}

/// Sends one frame, blocking while there is no room; `false` if nobody receives.
#[cfg(unix)]
fn send_whole(far: &std::os::unix::net::UnixDatagram, frame: &[u8]) -> bool {
    loop {
        match far.send(frame) {
            Ok(_) => return true,
            // Some systems refuse where others block.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Sends into a bounded channel.
fn channel(order: Order) -> Feed {
    let (frames, receiver) = bounded(CHANNEL);
    let send = move || order.send_all(|frame| frames.send(frame).is_ok());
    Feed { source: Box::new(ChannelSource::new(receiver)), send: Some(Box::new(send)) }
}

/// Lets the source take its frames from the capture itself.
fn capture(order: Order) -> Result<Feed> {
    let Traffic::Capture(capture) = &*order.traffic else { bail!("numbered frames are in no capture") };
    let frames = order.quota.frames.unwrap_or(u64::MAX);
    let source = CaptureSource::new(Arc::clone(capture)).repeated().limited_to(frames);
    Ok(Feed { source: Box::new(Replay { source, order }), send: None })
}

/// A capture source that says when its frames were sent: when the `recv` began in which it placed them.
struct Replay {
    source: CaptureSource,
    order: Order,
}

impl FrameSource for Replay {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let now = self.order.stamps.begin().max(Instant::now());
        if self.order.is_over() {
            return Ok(Received::Closed);
        }
        let before = self.source.taken();
        let received = self.source.recv(space);
        self.order.stamps.sending(before..self.source.taken(), now);
        received
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        self.source.wait(until)
    }

    fn waker(&self) -> Waker {
        self.source.waker()
    }
}
