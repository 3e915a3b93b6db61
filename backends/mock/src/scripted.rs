//! A source that does what a script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use netrx::source::{WakeFlag, Watch, Watched};
use netrx::{FrameMeta, FrameSource, Placed, Received, RxSpace, SourceError};

/// A source whose frames and troubles come from its [`Script`].
#[derive(Debug)]
pub struct ScriptedSource {
    shared: Arc<Shared>,
    woken: WakeFlag,
    placing: Placing,
}

/// What a [`ScriptedSource`] is to do; written from any thread while it runs.
#[derive(Clone, Debug)]
pub struct Script {
    shared: Arc<Shared>,
    /// Of the source; woken after each step that is added.
    waker: Waker,
}

/// How a source brings its frames into the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placing {
    /// It has each frame, and copies it.
    #[default]
    Copy,
    /// It has its frames, and copies up to so many plain ones at once.
    Burst(usize),
    /// It reads frames of unknown length into lent buffers, as a socket does.
    Read {
        /// The longest frame it may find, in bytes.
        largest: usize,
        /// How many frames it reads at once.
        batch: usize,
    },
}

impl Placing {
    /// One of each kind, for frames of usual sizes.
    pub const EACH: [Self; 3] = [Self::Copy, Self::Burst(8), Self::Read { largest: 1514, batch: 16 }];
}

#[derive(Debug)]
enum Step {
    Frame(Vec<u8>, FrameMeta),
    Pause,
    Close,
    Fail,
    Panic,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    steps: VecDeque<Step>,
    waits: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptedSource {
    /// A source without frames, and its script.
    #[must_use]
    pub fn new() -> (Self, Script) {
        Self::placing(Placing::Copy)
    }

    /// The same, with the given way of placing frames.
    #[must_use]
    pub fn placing(placing: Placing) -> (Self, Script) {
        let (shared, woken) = (Arc::<Shared>::default(), WakeFlag::default());
        let script = Script { shared: Arc::clone(&shared), waker: woken.waker() };
        (Self { shared, woken, placing }, script)
    }
}

impl Script {
    /// The next frame, without metadata.
    pub fn frame(&self, frame: impl Into<Vec<u8>>) {
        self.frame_with(frame, FrameMeta::PLAIN);
    }

    /// The next frame, with metadata.
    pub fn frame_with(&self, frame: impl Into<Vec<u8>>, meta: FrameMeta) {
        self.push(Step::Frame(frame.into(), meta));
    }

    /// Says once that there is no frame, though the script goes on.
    pub fn pause(&self) {
        self.push(Step::Pause);
    }

    /// The source says once that it is closed, which ends a worker; the script may go on, for the next one.
    pub fn close(&self) {
        self.push(Step::Close);
    }

    /// The source fails here.
    pub fn fail(&self) {
        self.push(Step::Fail);
    }

    /// The source panics here.
    pub fn panic(&self) {
        self.push(Step::Panic);
    }

    /// How many steps are left, frames or not.
    #[must_use]
    pub fn left(&self) -> usize {
        self.shared.lock().steps.len()
    }

    /// How many times the source was waited for.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.shared.lock().waits
    }

    fn push(&self, step: Step) {
        self.shared.lock().steps.push_back(step);
        self.waker.wake_by_ref();
    }
}

impl FrameSource for ScriptedSource {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        let mut state = self.shared.lock();
        loop {
            let (tried, done) = match (state.steps.front(), self.placing) {
                (Some(Step::Frame(..)), Placing::Read { .. }) => {
                    return Ok(read(&mut state.steps, space, self.placing));
                }
                (Some(Step::Frame(_, meta)), Placing::Burst(most)) if meta.is_plain() => {
                    burst(&state.steps, space, most)
                }
                (Some(Step::Frame(frame, meta)), _) => {
                    (1, usize::from(space.put(frame, *meta) != Placed::NoRoom))
                }
                (None, _) => return Ok(Received::Empty),
                (Some(_), _) => return trouble(state),
            };
            state.steps.drain(..done);
            if done < tried {
                return Ok(Received::More);
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        let mut state = self.shared.lock();
        state.waits += 1;
        let is_empty = state.steps.is_empty();
        drop(state);
        if is_empty {
            self.woken.wait(until);
        }
        Ok(())
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        if !self.shared.lock().steps.is_empty() {
            watch.ready();
        }
        self.woken.watch(watch)
    }

    fn waker(&self) -> Waker {
        self.woken.waker()
    }
}

/// Takes a step that is no frame.
fn trouble(mut state: MutexGuard<'_, State>) -> Result<Received, SourceError> {
    match state.steps.pop_front() {
        Some(Step::Close) => Ok(Received::Closed),
        Some(Step::Fail) => Err(SourceError::Other("the script says so".into())),
        Some(Step::Panic) => {
            drop(state);
            std::panic::panic_any("the script says so")
        }
        Some(Step::Pause | Step::Frame(..)) | None => Ok(Received::Empty),
    }
}

/// Places the plain frames in front, at most so many; returns how many those were, and how many are done with.
fn burst(steps: &VecDeque<Step>, space: &mut RxSpace<'_>, most: usize) -> (usize, usize) {
    let plain = |step| match step {
        &Step::Frame(ref frame, meta) if meta.is_plain() => Some(frame.as_slice()),
        _ => None,
    };
    let frames: Vec<_> = steps.iter().take(most.max(1)).map_while(plain).collect();
    (frames.len(), space.put_burst(&frames))
}

/// Reads frames into lent buffers, one batch, cutting and peeking as a datagram socket does.
fn read(steps: &mut VecDeque<Step>, space: &mut RxSpace<'_>, placing: Placing) -> Received {
    let Placing::Read { largest, batch } = placing else { return Received::More };
    let Some(mut lent) = space.lend_any(largest, batch) else { return Received::More };
    if lent.must_peek()
        && let Some(Step::Frame(frame, _)) = steps.front()
        && frame.len() > lent.room(0)
    {
        if matches!(lent.too_long(), Placed::Dropped(_)) {
            steps.pop_front();
        }
        return Received::More;
    }
    let readable = steps.iter().take_while(|step| matches!(step, Step::Frame(..))).count();
    for index in 0..lent.frames().min(readable) {
        let Some(Step::Frame(frame, meta)) = steps.pop_front() else { break };
        let whole = lent.copy_in(index, &frame) == frame.len();
        let _ = if whole { lent.fill(frame.len(), meta) } else { lent.cut() };
    }
    Received::More
}
