//! Threads that sleep on an eventfd.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use crate::KvmError;
use crate::sys::Event;

/// A thread that sleeps until a [`Doorbell`](crate::Doorbell) rings or a [`LevelPin`](crate::LevelPin) is resampled, and
/// serves it. It polls nothing on a timer.
///
/// Dropping it stops and joins the thread, as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Watcher {
    stop: Arc<Event>,
    thread: Option<JoinHandle<Result<(), KvmError>>>,
}

impl Watcher {
    /// Calls `serve` whenever `what` is readable, and a last time when it is stopped.
    pub(crate) fn start<W: AsFd + Send + 'static>(
        name: &str,
        what: W,
        mut serve: impl FnMut(&W) -> Result<(), KvmError> + Send + 'static,
    ) -> Result<Self, KvmError> {
        let stop = Arc::new(Event::new()?);
        let stopped = Arc::clone(&stop);
        let body = move || run(|| sleep(&what, &stopped), || serve(&what));
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(KvmError::io("start a watcher's thread"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the thread and waits for it; called on that thread itself, it does not wait.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(mut self) -> Result<(), KvmError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), KvmError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stop.signal().map_err(KvmError::io("stop a watcher"))?;
        if thread.thread().id() == thread::current().id() {
            return Ok(());
        }
        let panicked = |_| KvmError::io("join a watcher")(io::Error::other("what it called has panicked"));
        thread.join().map_err(panicked)?
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!(%error, "a watcher failed");
        }
    }
}

/// Serves whatever ends a sleep, until one ends with `true`: to stop. Then a last time: nothing that happened before is missed.
pub(crate) fn run(
    mut sleep: impl FnMut() -> Result<bool, KvmError>,
    mut serve: impl FnMut() -> Result<(), KvmError>,
) -> Result<(), KvmError> {
    while !sleep()? {
        serve()?;
    }
    serve()
}

/// Sleeps until there is something to serve, or `true`: to stop.
fn sleep(what: &impl AsFd, stop: &Event) -> Result<bool, KvmError> {
    let mut asked = [PollFd::new(what, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    match poll(&mut asked, None) {
        Ok(_) => Ok(asked[1].revents().contains(PollFlags::IN)),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(KvmError::io("wait for an eventfd")(error.into())),
    }
}
