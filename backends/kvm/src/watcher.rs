//! Threads that sleep on an eventfd.

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use crate::KvmError;
use crate::sys::Event;

/// A thread that sleeps until a [`Doorbell`](crate::Doorbell) rings or a [`LevelPin`](crate::LevelPin) is resampled, and
/// serves it. It polls nothing on a timer.
///
/// If an eventfd fails, or what it calls panics, it ends, and nothing is served from then on: an error event tells so at once.
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
        name: &'static str,
        what: W,
        mut serve: impl FnMut(&W) -> Result<(), KvmError> + Send + 'static,
    ) -> Result<Self, KvmError> {
        let stop = Arc::new(Event::new()?);
        let stopped = Arc::clone(&stop);
        let body = move || tell(name, move || run(|| sleep(&what, &stopped), || serve(&what)));
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(KvmError::io("start a watcher's thread"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the thread and waits for it; called on that thread itself, it does not wait.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(mut self) -> Result<(), KvmError> {
        self.join()?
    }

    /// What the thread came to, if it can be stopped.
    fn join(&mut self) -> Result<Result<(), KvmError>, KvmError> {
        let Some(thread) = self.thread.take() else { return Ok(Ok(())) };
        self.stop.signal().map_err(KvmError::io("stop a watcher"))?;
        if thread.thread().id() == thread::current().id() {
            return Ok(Ok(()));
        }
        thread.join().map_err(|panic| panicked(&*panic))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // What ended the thread before was told of then.
        if let Err(error) = self.join() {
            tracing::error!(%error, "a watcher cannot be stopped");
        }
    }
}

/// Runs a watcher's body, and tells why it failed: nobody asks before it is to stop.
fn tell(name: &str, body: impl FnOnce() -> Result<(), KvmError>) -> Result<(), KvmError> {
    let ended = catch_unwind(AssertUnwindSafe(body)).map_err(|panic| panicked(&*panic)).flatten();
    ended.inspect_err(|error| tracing::error!(%error, name, "a watcher failed: nothing is served any more"))
}

/// With what the panic said.
fn panicked(panic: &(dyn Any + Send)) -> KvmError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let cause = format!("what it called panicked: {}", text.unwrap_or("without a message"));
    KvmError::io("go on watching")(io::Error::other(cause))
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
