//! The source itself.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded};
use netrx::source::{Watch, Watched};
use netrx::{FrameSource, Placed, Received, RxSpace, SourceError};

use crate::Frame;
use crate::bridge::Pier;

/// A [`FrameSource`] over the receiving end of a crossbeam channel of any flavour.
///
/// * **Order**: frames reach the guest in the channel's order.
/// * **Blocking**: only [`wait`](FrameSource::wait) blocks, on the channel itself; it does not poll. Channels that are waited
///   for together with other sources are slept on by one thread, which they share and which ends with the last of them.
/// * **Errors**: it has none.
/// * **Threads**: if others receive from the same channel, each frame goes to one of them.
#[derive(Debug)]
pub struct ChannelSource<T> {
    frames: Receiver<T>,
    /// Taken from the channel, but not yet placed.
    pending: Option<T>,
    /// One token at most: the source was woken.
    woken: Receiver<()>,
    control: Arc<Control>,
    /// Where it is waited for together with other sources, if it ever was.
    pier: Option<Pier>,
}

/// The far end of the source's own channel.
#[derive(Debug)]
struct Control(Sender<()>);

impl Wake for Control {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A token that finds no place is not needed: there is one already, or nobody waits any more.
        let _ = self.0.try_send(());
    }
}

impl<T> ChannelSource<T> {
    /// A source of the frames that arrive at `frames`.
    #[must_use]
    pub fn new(frames: Receiver<T>) -> Self {
        let (control, woken) = bounded(1);
        Self { frames, pending: None, woken, control: Arc::new(Control(control)), pier: None }
    }

    /// The frame that was taken from the channel and had no room in the guest; it goes first.
    #[must_use]
    pub fn pending(&self) -> Option<&T> {
        self.pending.as_ref()
    }

    /// The channel, and the frame that comes before all of those in it.
    #[must_use]
    pub fn into_parts(self) -> (Receiver<T>, Option<T>) {
        (self.frames, self.pending)
    }
}

impl<T> From<Receiver<T>> for ChannelSource<T> {
    fn from(frames: Receiver<T>) -> Self {
        Self::new(frames)
    }
}

impl<T: Frame + Send + 'static> FrameSource for ChannelSource<T> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        if let Some(frame) = &self.pending {
            if space.put(frame.bytes(), frame.meta()) == Placed::NoRoom {
                return Ok(Received::More);
            }
            self.pending = None;
        }
        loop {
            let frame = match self.frames.try_recv() {
                Ok(frame) => frame,
                Err(TryRecvError::Empty) => return Ok(Received::Empty),
                Err(TryRecvError::Disconnected) => return Ok(Received::Closed),
            };
            if space.put(frame.bytes(), frame.meta()) == Placed::NoRoom {
                self.pending = Some(frame);
                return Ok(Received::More);
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        if self.pending.is_some() {
            return Ok(());
        }
        let mut either = Select::new();
        either.recv(&self.frames);
        either.recv(&self.woken);
        match until {
            None => {
                either.ready();
            }
            Some(until) => {
                // Passing the deadline is a reason to return like the others.
                let _ = either.ready_deadline(until);
            }
        }
        // A token that came before this point has ended this wait; a later one stays for the next.
        let _ = self.woken.try_recv();
        Ok(())
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        if self.pending.is_some() || !self.frames.is_empty() {
            watch.ready();
            return Watched::Yes;
        }
        if self.pier.is_none() {
            self.pier = Pier::new();
        }
        let Some(pier) = &mut self.pier else { return Watched::No };
        pier.watch(&self.frames, &self.woken, watch.waker());
        Watched::Yes
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.control))
    }
}
