//! Where a VMM deposits the parts of a worker, and from which it starts and stops it.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use super::bell::Bell;
use super::error::{Part, SlotError};
use super::thread::{End, EndHook, Job, Outcome, Report, message};
use crate::engine::{Counters, Engine, EngineConfig, Stats};
use crate::hypervisor::{Hypervisor, HypervisorError, IrqId};
use crate::irq::IrqLine;
use crate::mem::GuestMemory;
use crate::ring::{RingConfig, SplitRing};
use crate::source::{AnySource, FrameSource};
use crate::spec::Features;
use crate::sync::{Condvar, Mutex, MutexGuard, thread};

/// Collects the parts of a receive worker, in any order and from any thread, and turns them into a running one when
/// the guest's driver sets `DRIVER_OK`.
///
/// ```text
///          driver_ok            stop, reset
/// parts ------------> running ------------> parts
///   ^  <- any error                           |
///   +-----------------------------------------+
/// ```
///
/// Every method takes `&self` and may be called from any thread. Dropping the slot stops the worker.
pub struct RxWorkerSlot<M: GuestMemory + 'static, I: IrqLine + 'static> {
    name: String,
    inner: Mutex<Inner<M, I>>,
    settled: Condvar,
    bell: Arc<Bell>,
    on_end: EndHook,
}

struct Inner<M, I> {
    memory: Option<M>,
    irq: Option<I>,
    /// The offered sources, the best first.
    sources: Vec<(u32, Box<dyn AnySource>)>,
    state: State<M, I>,
}

enum State<M, I> {
    Idle,
    Running(Running<M, I>),
    /// Somebody joins the worker, whose thread this is.
    Stopping(thread::ThreadId),
}

struct Running<M, I> {
    thread: Handle<M, I>,
    waker: Waker,
    counters: Arc<Counters>,
}

/// What `DRIVER_OK` freezes.
///
/// To go on where a worker was stopped, in this process or after a restore in another, [`RingConfig::start`] is the cursor of
/// its [`Report`]; the memory's bytes are those of then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxConfig {
    /// The receive queue's registers.
    pub ring: RingConfig,
    /// The features that the driver acknowledged.
    pub features: Features,
    /// What the consumer decides.
    pub engine: EngineConfig,
    /// The queue continues after a restore, or the last worker [owes](Report::owes_interrupt) an interrupt: the guest is
    /// interrupted once, whatever it last asked for.
    pub restored: bool,
}

/// What a stop returns.
pub struct Stopped {
    /// The source that the worker had, with all the frames that it did not deliver. As a `Box<dyn Any>` it can be downcast to
    /// what was offered.
    pub source: Box<dyn AnySource>,
    /// What the worker did, and where the ring stands.
    pub report: Report,
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped").field("report", &self.report).finish_non_exhaustive()
    }
}

impl<M: GuestMemory, I: IrqLine> fmt::Debug for RxWorkerSlot<M, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxWorkerSlot").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<M: GuestMemory, I: IrqLine> Default for RxWorkerSlot<M, I> {
    fn default() -> Self {
        Self::new("netrx-rx")
    }
}

impl<M: GuestMemory + 'static, I: IrqLine + 'static> RxWorkerSlot<M, I> {
    /// An empty slot; `name` is given to the worker's thread, without any NUL. Linux shows its first 15 bytes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let inner = Inner { memory: None, irq: None, sources: Vec::new(), state: State::Idle };
        Self {
            name: name.into().replace('\0', ""),
            inner: Mutex::new(inner),
            settled: Condvar::new(),
            bell: Arc::new(Bell::new()),
            on_end: EndHook::default(),
        }
    }

    /// Deposits the guest's memory, for the next start.
    pub fn deposit_memory(&self, memory: M) {
        let _old = self.lock().memory.replace(memory);
    }

    /// Deposits the queue's interrupt line, for the next start.
    pub fn deposit_irq(&self, irq: I) {
        let _old = self.lock().irq.replace(irq);
    }

    /// Deposits memory and interrupt line of a hypervisor.
    ///
    /// # Errors
    /// When it has no line `irq`; nothing is deposited then.
    pub fn deposit_hypervisor<H>(&self, hypervisor: &H, irq: IrqId) -> Result<(), HypervisorError>
    where
        H: Hypervisor<Memory = M, Irq = I>,
    {
        let (line, memory) = (hypervisor.irq_line(irq)?, hypervisor.memory());
        let mut inner = self.lock();
        let _old = (inner.irq.replace(line), inner.memory.replace(memory));
        drop(inner);
        Ok(())
    }

    /// Offers a source; of several, the worker takes the one of the highest rank, and of equal ones the first offered.
    ///
    /// One that a [`stop`](Self::stop) has handed out may be offered again as it is.
    pub fn offer_source(&self, rank: u32, source: impl FrameSource + 'static) {
        if let Some(source) = boxed(source) {
            self.lock().offer(rank, source);
        }
    }

    /// Sets what is called, on the worker's thread, when a worker ends for another reason than being stopped. It must
    /// not stop the worker itself.
    pub fn on_end(&self, hook: impl FnMut(&End) + Send + 'static) {
        self.on_end.set(Box::new(hook));
    }

    /// The driver is ready: starts the worker. Of several concurrent calls exactly one does.
    ///
    /// # Errors
    /// When a worker runs, parts are missing, the queue's registers make no sense, or there is no thread. Every part
    /// is still deposited then.
    pub fn driver_ok(&self, config: RxConfig) -> Result<(), SlotError> {
        let mut inner = self.lock();
        if !matches!(inner.state, State::Idle) {
            return Err(SlotError::Running);
        }
        let (job, waker) = inner.job(&config, &self.bell, &self.on_end)?;
        let counters = job.engine.counters();
        self.bell.renew();
        match spawn(&self.name, job) {
            Ok(thread) => {
                inner.state = State::Running(Running { thread, waker, counters });
                Ok(())
            }
            Err((error, job)) => {
                if let Some(job) = job {
                    inner.undo(*job);
                }
                Err(SlotError::Spawn(error))
            }
        }
    }

    /// The driver made buffers available (`QueueNotify`). Without a worker it has no effect: the next one looks at the ring
    /// first. Never blocks, and takes no lock unless it has to wake the worker.
    pub fn kick(&self) {
        self.bell.kick();
    }

    /// The counters of the worker that runs, if one does.
    pub fn stats(&self) -> Option<Stats> {
        match &self.lock().state {
            State::Running(running) => Some(running.counters.snapshot()),
            State::Idle | State::Stopping(_) => None,
        }
    }

    /// Stops and joins the worker; `None` when none was running. When it returns, nothing of the worker's writes to the
    /// guest any more.
    ///
    /// Memory and interrupt line go back into the slot; the source is handed out.
    ///
    /// # Errors
    /// [`SlotError::OwnThread`] when the worker's own thread calls it (from an interrupt line, say). The worker ends all
    /// the same, soon after that call; another thread's stop takes back what is left of it. [`SlotError::Lost`] when code that
    /// a worker calls at its end panicked.
    pub fn stop(&self) -> Result<Option<Stopped>, SlotError> {
        let Some(Outcome { memory, irq, source, report, .. }) = self.join()? else { return Ok(None) };
        let mut inner = self.lock();
        let _superseded = inner.take_back(memory, irq);
        self.settle(inner);
        Ok(Some(Stopped { source, report }))
    }

    /// Stops and joins the worker as [`stop`](Self::stop) does, and keeps every part for the next start.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub fn reset(&self) -> Result<Option<Report>, SlotError> {
        let Some(Outcome { memory, irq, source, rank, report }) = self.join()? else { return Ok(None) };
        let mut inner = self.lock();
        let _superseded = inner.take_back(memory, irq);
        inner.reoffer(rank, source);
        self.settle(inner);
        Ok(Some(report))
    }

    /// Ends the worker and waits for it. Whoever comes second waits for the first.
    fn join(&self) -> Result<Option<Outcome<M, I>>, SlotError> {
        let mut inner = self.lock();
        let me = thread::current().id();
        while let State::Stopping(worker) = inner.state {
            if worker == me {
                return Err(SlotError::OwnThread);
            }
            inner = self.settled.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let State::Running(running) = &inner.state else { return Ok(None) };
        let worker = running.thread.thread().id();
        if worker == me {
            self.bell.stop();
            running.waker.wake_by_ref();
            return Err(SlotError::OwnThread);
        }
        let running = std::mem::replace(&mut inner.state, State::Stopping(worker));
        drop(inner);
        let State::Running(Running { thread, waker, .. }) = running else { return Ok(None) };
        self.bell.stop();
        waker.wake();
        let outcome = thread.join().map_err(|panic| SlotError::Lost(message(&*panic)));
        if !matches!(outcome, Ok(Some(_))) {
            self.settle(self.lock());
        }
        outcome
    }

    fn settle(&self, mut inner: MutexGuard<'_, Inner<M, I>>) {
        inner.state = State::Idle;
        drop(inner);
        self.settled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M, I>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: GuestMemory, I: IrqLine> Drop for RxWorkerSlot<M, I> {
    fn drop(&mut self) {
        // Only the worker's own thread is refused; it ends once it returns.
        let _ = self.join();
    }
}

impl<M: GuestMemory, I: IrqLine> Inner<M, I> {
    fn offer(&mut self, rank: u32, source: Box<dyn AnySource>) {
        let place = self.sources.partition_point(|(other, _)| *other >= rank);
        self.sources.insert(place, (rank, source));
    }

    /// Makes a job of the deposited parts, and takes its source's waker; or leaves all of them in place, even if one of them
    /// panics.
    fn job(
        &mut self,
        config: &RxConfig,
        bell: &Arc<Bell>,
        on_end: &EndHook,
    ) -> Result<(Job<M, I>, Waker), SlotError> {
        let (Some(memory), Some(_), Some((_, best))) = (&mut self.memory, &self.irq, self.sources.first())
        else {
            return Err(SlotError::Missing(self.missing()));
        };
        // It may have been deposited long ago.
        memory.refresh();
        let ring = SplitRing::new(config.ring, config.features, memory)?;
        let waker = best.waker();
        let (Some(memory), Some(irq)) = (self.memory.take(), self.irq.take()) else {
            return Err(SlotError::Missing(self.missing()));
        };
        let (rank, source) = self.sources.remove(0);
        let mut engine = Engine::new(ring, memory, irq, config.engine);
        if config.restored {
            engine.owe_interrupt();
        }
        Ok((Job { engine, source, rank, bell: Arc::clone(bell), on_end: on_end.clone() }, waker))
    }

    fn missing(&self) -> Vec<Part> {
        let have = [
            (Part::Memory, self.memory.is_some()),
            (Part::Irq, self.irq.is_some()),
            (Part::Source, !self.sources.is_empty()),
        ];
        have.into_iter().filter(|(_, have)| !have).map(|(part, _)| part).collect()
    }

    /// Deposits what came back, unless something newer was deposited meanwhile; what is not needed any more is handed out, to
    /// be dropped without the lock: it is somebody else's code.
    fn take_back(&mut self, memory: M, irq: I) -> (Option<M>, Option<I>) {
        (fill(&mut self.memory, memory), fill(&mut self.irq, irq))
    }

    /// Deposits the parts of a job that never ran.
    fn undo(&mut self, job: Job<M, I>) {
        let (memory, irq) = job.engine.into_parts();
        (self.memory, self.irq) = (Some(memory), Some(irq));
        self.reoffer(job.rank, job.source);
    }

    /// Puts a source back before those of its rank, where it was taken from.
    fn reoffer(&mut self, rank: u32, source: Box<dyn AnySource>) {
        let place = self.sources.partition_point(|(other, _)| *other > rank);
        self.sources.insert(place, (rank, source));
    }
}

/// Puts a part into a place that is empty; else it comes back.
fn fill<T>(place: &mut Option<T>, part: T) -> Option<T> {
    match place {
        Some(_) => Some(part),
        None => place.replace(part),
    }
}

/// A source in a box, and not in a second one if it comes in one; always some.
fn boxed(source: impl FrameSource + 'static) -> Option<Box<dyn AnySource>> {
    let mut source = Some(source);
    let in_box = (&mut source as &mut dyn Any).downcast_mut::<Option<Box<dyn AnySource>>>();
    in_box.and_then(Option::take).or_else(|| Some(Box::new(source?)))
}

/// The worker's thread, or why there is none, with the job it was for.
type Spawned<M, I> = Result<Handle<M, I>, (io::Error, Option<Box<Job<M, I>>>)>;

type Handle<M, I> = thread::JoinHandle<Option<Outcome<M, I>>>;

/// Starts a thread for the job; if that fails, the job comes back.
fn spawn<M: GuestMemory + 'static, I: IrqLine + 'static>(name: &str, job: Job<M, I>) -> Spawned<M, I> {
    let cell = Arc::new(std::sync::Mutex::new(Some(Box::new(job))));
    let inside = Arc::clone(&cell);
    let take =
        |cell: &std::sync::Mutex<Option<_>>| cell.lock().unwrap_or_else(PoisonError::into_inner).take();
    let body = move || take(&inside).map(|job: Box<Job<M, I>>| job.run());
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map_err(|error| (error, take(&cell)))
}
