//! How frames are read: lend, read, report, and what each answer of the system means.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use netrx::source::Watch;
use netrx::space::Lent;
use netrx::{FrameMeta, Placed, Received, RxSpace, SourceError};
use netrx_poller::{Poller, Trigger};

use crate::SocketError;
use crate::calls::{BATCH, Batch, BatchEnd, Calls, Message};
use crate::sys::news::is_news;
use crate::sys::options;

/// How long a system that is short of memory is left alone, or a socket that has only news. Nothing else waits for a time.
const BREATHER: Duration = Duration::from_millis(1);

/// What the socket is watched under; nothing else is.
const SOCKET: u32 = 0;

/// Reads a socket by way of `calls`.
#[derive(Debug)]
pub(crate) struct Reader<C> {
    // Before the socket, which it watches: fields are dropped in order.
    poller: Poller,
    socket: OwnedFd,
    calls: C,
    largest: usize,
    /// The far end is gone: an empty socket stays empty.
    gone: bool,
    /// The next wait is a breather, and not for the socket.
    strained: bool,
    /// The last read gave news and no frame.
    heard: bool,
    /// The frame that is next was counted as too long, and is to be skipped.
    counted: bool,
}

impl<C: Calls> Reader<C> {
    pub(crate) fn new(socket: OwnedFd, calls: C, largest: usize) -> Result<Self, SocketError> {
        options::check_kind(socket.as_fd())?;
        let poller = watching(socket.as_fd()).map_err(SocketError::io("watch the socket"))?;
        let (gone, strained, heard, counted) = (false, false, false, false);
        Ok(Self { poller, socket, calls, largest, gone, strained, heard, counted })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    pub(crate) fn waker(&self) -> Waker {
        self.poller.waker()
    }

    /// Sleeps until the socket is readable, the waker was woken, or `until`.
    ///
    /// The socket is watched by level: whatever `recv` left in the socket ends this at once. It cannot spin, because a
    /// worker comes here only after `recv` has found the socket empty, never for want of room in the guest.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        if std::mem::take(&mut self.strained) {
            let left = until.map_or(BREATHER, |until| until.saturating_duration_since(Instant::now()));
            thread::sleep(left.min(BREATHER));
        } else if !self.gone {
            self.poller
                .wait(until, |event| self.gone = event.ended)
                .map_err(SourceError::io("wait for the socket"))?;
        }
        Ok(())
    }

    /// Names what ends a `wait`. The descriptor is that of both the socket and the waker.
    pub(crate) fn watch<'w>(&'w self, watch: &mut Watch<'w>) {
        if self.strained {
            watch.until(Instant::now() + BREATHER);
        } else if self.gone {
            watch.ready();
        } else {
            watch.readable(self.poller.as_fd());
        }
    }

    /// Reads until the guest has no room or the socket no frames.
    pub(crate) fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        loop {
            if let Err(error) = self.skip_counted() {
                return self.mend(error);
            }
            let Some(lent) = space.lend_any(self.largest, BATCH) else { return Ok(Received::More) };
            let end = if lent.must_peek() { self.read_if_it_fits(lent)? } else { self.read(lent)? };
            if let Some(received) = end {
                return Ok(received);
            }
        }
    }

    /// Reads as many frames as were lent for; `None` if there may be more.
    fn read(&mut self, mut lent: Lent<'_, '_>) -> Result<Option<Received>, SourceError> {
        let mut messages = [Message::default(); BATCH];
        let places = messages.get_mut(..lent.frames()).unwrap_or_default();
        let Batch { count, end } = self.calls.receive(self.socket.as_fd(), &lent, places);
        self.heard &= count == 0;
        let read = places.get(..count).unwrap_or_default();
        // The end would have filled all places.
        let frames = if matches!(end, BatchEnd::Full) { self.before_the_end(read) } else { read };
        report(&mut lent, frames);
        match end {
            _ if frames.len() < read.len() => Ok(Some(Received::Closed)),
            BatchEnd::Full => Ok(None),
            BatchEnd::Short => Ok(Some(Received::Empty)),
            BatchEnd::Failed(error) => self.mend(error).map(Some),
        }
    }

    /// The messages without those behind the last frame that are none: a socket whose far end is gone, or that was shut
    /// down for reading, may read as empty messages without end. As long as there are frames behind them, they are messages
    /// like others.
    fn before_the_end<'m>(&self, messages: &'m [Message]) -> &'m [Message] {
        let frames = messages.iter().rposition(|message| message.len > 0).map_or(0, |last| last + 1);
        if frames == messages.len() || !options::reads_as_over(self.socket.as_fd()) {
            return messages;
        }
        messages.get(..frames).unwrap_or_default()
    }

    /// Reads the next frame if the little room there is holds it.
    fn read_if_it_fits(&mut self, lent: Lent<'_, '_>) -> Result<Option<Received>, SourceError> {
        let len = match self.calls.peek(self.socket.as_fd(), self.largest) {
            Ok(len) => len,
            Err(error) => return self.mend(error).map(Some),
        };
        if len <= lent.room(0) {
            return self.read(lent);
        }
        match lent.too_long() {
            Placed::Dropped(_) => self.counted = true,
            Placed::NoRoom | Placed::Delivered => return Ok(Some(Received::More)),
        }
        Ok(None)
    }

    /// Skips the next frame if it was counted. One that an error comes between is not counted again; one that is gone already
    /// takes no other along.
    fn skip_counted(&mut self) -> io::Result<()> {
        if !self.counted {
            return Ok(());
        }
        let skipped = self.calls.skip(self.socket.as_fd());
        self.counted = skipped.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
        skipped
    }

    /// What an error means; one that comes back is fatal.
    fn mend(&mut self, error: io::Error) -> Result<Received, SourceError> {
        match error.raw_os_error() {
            _ if error.kind() == io::ErrorKind::WouldBlock => {
                self.heard = false;
                return Ok(if self.gone { Received::Closed } else { Received::Empty });
            }
            Some(libc::ENOBUFS | libc::ENOMEM) => return Ok(self.breather()),
            // What was sent before may still be queued.
            Some(libc::ECONNRESET) => self.gone = true,
            Some(libc::EINTR) => {}
            // Twice on end, it may be there to stay.
            _ if is_news(&error) && std::mem::take(&mut self.heard) => return Ok(self.breather()),
            _ if is_news(&error) => self.heard = true,
            _ => return Err(SourceError::io("read from the socket")(error)),
        }
        Ok(Received::More)
    }

    /// Has the next wait be one.
    fn breather(&mut self) -> Received {
        self.strained = true;
        Received::Empty
    }
}

/// Waits for a socket as long as it is readable.
fn watching(socket: BorrowedFd<'_>) -> io::Result<Poller> {
    let poller = Poller::new(Trigger::Level)?;
    poller.watch(socket, SOCKET)?;
    Ok(poller)
}

/// Tells the guest's space what was read.
fn report(lent: &mut Lent<'_, '_>, frames: &[Message]) {
    for frame in frames {
        // Whatever became of it, it is counted, and not in the socket any more.
        let _ = if frame.cut { lent.cut() } else { lent.fill(frame.len, FrameMeta::PLAIN) };
    }
}

#[cfg(test)]
mod tests;
