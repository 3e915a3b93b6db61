//! Several sources as one, fair by bytes.
//!
//! ```text
//! source 0 --+   each in turn up to its credit
//! source 1 --+--> guest
//! source 2 --+   waited for together: descriptors, wakers, times
//! ```

mod bell;
mod beside;
mod sleep;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use netrx::source::{Watch, Watched};
use netrx::space::{Limit, Taken};
use netrx::spec::MIN_FRAME;
use netrx::{FrameSource, Received, RxSpace, SourceError};

use bell::{Bell, Signal};
use beside::Shortage;

/// How many bytes a source may deliver in a turn.
pub const QUANTUM: u64 = 1 << 16;

/// What a frame costs that was dropped: as much as the shortest one that is not.
const DROPPED: u64 = MIN_FRAME as u64;

/// A [`FrameSource`] that takes the frames of several, fair by bytes. For sources of different types, box them:
/// `Merge<Box<dyn FrameSource>>`, or [`AnySource`](netrx::source::AnySource) to downcast them once they are given back.
///
/// * **Order**: each source's own; between them there is none.
/// * **Blocking**: only [`wait`](FrameSource::wait) blocks. It needs no thread for sources that can be
///   [watched](FrameSource::watch), and one for each that cannot, while it sleeps. While the system has none to spare, a sleep
///   ends after a millisecond, and that is logged when it begins.
/// * **Errors**: when no source is left, or the system cannot poll their descriptors.
///
/// # Fairness
/// Sources take turns. A turn adds [`QUANTUM`] bytes to a source's credit, which what it delivers is taken off; the turn ends
/// with the frame that uses the credit up, and what that frame took beyond it is owed from the next turn. A turn that the
/// guest's lack of room interrupts goes on where it was. So of any two sources that have frames all the time, neither gets
/// more than one quantum and one frame ahead of the other, however long their frames are. Who has no frames is asked once a
/// `recv` and saves up nothing.
///
/// # Ends
/// A source that closes or fails takes no part any more; the others go on. [`on_end`](Self::on_end) tells at once. When
/// none is left the merge ends too: with a [`MergeError`] that names the first source that failed, else closed.
pub struct Merge<S> {
    members: Vec<Member<S>>,
    /// Whose turn it is, and whether it has its quantum.
    turn: usize,
    granted: bool,
    bell: Arc<Bell>,
    shortage: Shortage,
    on_end: Option<EndHook>,
}

/// Called with a source's number and how it ended.
type EndHook = Box<dyn FnMut(usize, &MemberEnd) + Send>;

/// How one of the sources ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum MemberEnd {
    /// It closed.
    Closed,
    /// It failed.
    Failed(SourceError),
}

/// No source is left, and one of them had failed.
#[derive(Debug, thiserror::Error)]
#[error("no frame source is left; number {source_number} had failed: {cause}")]
pub struct MergeError {
    /// Its number, from 0 on, in the order in which they were given.
    pub source_number: usize,
    /// Why it failed.
    #[source]
    pub cause: SourceError,
}

/// One of the sources.
struct Member<S> {
    source: S,
    /// Bytes that it may still deliver, or owes.
    credit: i64,
    /// It may have frames that this `recv` has not seen.
    has_turns: bool,
    end: Option<MemberEnd>,
    /// It can only be waited for by its own `wait`, as far as that is known.
    blocks: Option<bool>,
    signal: Arc<Signal>,
    waker: Waker,
}

/// How a part of a turn ended.
enum Part {
    /// The credit is used up.
    Spent,
    /// It may go on.
    Unspent,
    /// There is no room for anybody.
    NoRoom,
    /// It has no frames.
    Empty,
    /// It may have frames, and took none though there was room.
    Yielded,
    Ended(MemberEnd),
}

impl<S> Member<S> {
    fn is_live(&self) -> bool {
        self.end.is_none()
    }

    fn charge(&mut self, taken: Taken) {
        let cost = taken.bytes.saturating_add(taken.dropped.saturating_mul(DROPPED));
        self.credit = self.credit.saturating_sub_unsigned(cost);
    }
}

impl<S: FrameSource> Member<S> {
    /// Takes frames up to the credit.
    fn take(&mut self, space: &mut RxSpace<'_>) -> Part {
        let Ok(bytes @ 1..) = u64::try_from(self.credit) else { return Part::Spent };
        let limit = Limit { frames: bytes.div_ceil(DROPPED), bytes };
        let source = &mut self.source;
        let (received, taken) = space.within(limit, |space| source.recv(space));
        self.charge(taken);
        match received {
            Err(error) => Part::Ended(MemberEnd::Failed(error)),
            Ok(Received::Closed) => Part::Ended(MemberEnd::Closed),
            Ok(Received::Empty) => Part::Empty,
            Ok(Received::More) if !taken.room => Part::NoRoom,
            Ok(Received::More) if self.credit <= 0 => Part::Spent,
            Ok(Received::More) if taken.delivered + taken.dropped == 0 => Part::Yielded,
            Ok(Received::More) => Part::Unspent,
        }
    }
}

impl<S: FrameSource> Merge<S> {
    /// Merges these sources.
    ///
    /// # Errors
    /// When the system has no descriptors to spare.
    pub fn new(sources: impl IntoIterator<Item = S>) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let member = |source| {
            let signal = Arc::new(Signal::new(Arc::clone(&bell)));
            let waker = Waker::from(Arc::clone(&signal));
            Member { source, credit: 0, has_turns: false, end: None, blocks: None, signal, waker }
        };
        let members = sources.into_iter().map(member).collect();
        let shortage = Shortage::default();
        Ok(Self { members, turn: 0, granted: false, bell, shortage, on_end: None })
    }

    /// Sets what is called, on the thread that runs the merge, when a source ends: with its number, from 0 on, and why.
    #[must_use]
    pub fn on_end(mut self, hook: impl FnMut(usize, &MemberEnd) + Send + 'static) -> Self {
        self.on_end = Some(Box::new(hook));
        self
    }

    /// The sources, in the order in which they were given, each with all the frames that it did not deliver.
    #[must_use]
    pub fn into_sources(self) -> Vec<S> {
        self.members.into_iter().map(|member| member.source).collect()
    }

    /// The source whose turn it is, of those that were not found empty in this `recv`.
    fn current(&mut self) -> Option<&mut Member<S>> {
        let skipped = (self.turn..self.members.len())
            .chain(0..self.turn)
            .take_while(|index| self.members.get(*index).is_some_and(|member| !member.has_turns))
            .count();
        if skipped == self.members.len() {
            return None;
        }
        if skipped > 0 {
            (self.turn, self.granted) = ((self.turn + skipped) % self.members.len(), false);
        }
        let granted = std::mem::replace(&mut self.granted, true);
        let member = self.members.get_mut(self.turn)?;
        if !granted {
            member.credit = member.credit.saturating_add_unsigned(QUANTUM);
        }
        Some(member)
    }

    /// Ends the turn.
    fn pass(&mut self) {
        (self.turn, self.granted) = ((self.turn + 1) % self.members.len().max(1), false);
    }

    /// The source whose turn it is has nothing more for this `recv`, and saves nothing up.
    fn rest(&mut self) {
        if let Some(member) = self.members.get_mut(self.turn) {
            member.has_turns = false;
            member.credit = member.credit.min(0);
        }
        self.pass();
    }

    fn end(&mut self, index: usize, end: MemberEnd) {
        if let Some(hook) = &mut self.on_end {
            hook(index, &end);
        }
        if let Some(member) = self.members.get_mut(index) {
            member.has_turns = false;
            member.end = Some(end);
        }
    }

    /// How it ends when no source is left.
    fn over(&mut self) -> Result<Received, SourceError> {
        for (source_number, member) in self.members.iter_mut().enumerate() {
            if let Some(MemberEnd::Failed(_)) = member.end
                && let Some(MemberEnd::Failed(cause)) = member.end.replace(MemberEnd::Closed)
            {
                return Err(SourceError::Other(Box::new(MergeError { source_number, cause })));
            }
        }
        Ok(Received::Closed)
    }
}

impl<S: FrameSource> FrameSource for Merge<S> {
    fn recv(&mut self, space: &mut RxSpace<'_>) -> Result<Received, SourceError> {
        self.members.iter_mut().for_each(|member| member.has_turns = member.is_live());
        let mut received = Received::Empty;
        while let Some(member) = self.current() {
            match member.take(space) {
                Part::Spent => self.pass(),
                Part::Unspent => {}
                Part::NoRoom => return Ok(Received::More),
                Part::Empty => self.rest(),
                Part::Yielded => {
                    received = Received::More;
                    self.rest();
                }
                Part::Ended(end) => {
                    self.end(self.turn, end);
                    self.pass();
                }
            }
        }
        if self.members.iter().any(Member::is_live) { Ok(received) } else { self.over() }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError> {
        for (index, waited) in sleep::sleep(&mut self.members, &self.bell, &mut self.shortage, until)? {
            if let Err(error) = waited {
                self.end(index, MemberEnd::Failed(error));
            }
        }
        Ok(())
    }

    fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched {
        self.bell.watch(watch);
        for member in self.members.iter_mut().filter(|member| member.is_live()) {
            let mut inner = Watch::new(&member.waker);
            if member.source.watch(&mut inner) == Watched::No {
                return Watched::No;
            }
            watch.include(&inner);
        }
        Watched::Yes
    }

    fn starved(&mut self, waker: &Waker) {
        let live = self.members.iter_mut().filter(|member| member.is_live());
        live.for_each(|member| member.source.starved(waker));
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }
}

impl<S> fmt::Debug for Merge<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("sources", &self.members.len()).finish_non_exhaustive()
    }
}
