//! Waiting for several sources at once: one `poll` for all that have a descriptor, one bell for all that can wake it, and a
//! thread only for a source that can do neither, and only while all of them sleep.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netrx::source::{Watch, Watched};
use netrx::{FrameSource, SourceError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Member;
use super::bell::Bell;
use super::beside::{Beside, Shortage};

/// The longest that one sleep lasts: longer ones are refused by some systems, and waking once a day is no polling.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// A source, by its number, that ended a wait, and how its own wait ended.
pub(super) type Waited = (usize, Result<(), SourceError>);

/// Sleeps until one of the sources may have frames, the bell is rung, or `until`; returns the sources that were waited for
/// to the end.
pub(super) fn sleep<S: FrameSource>(
    members: &mut [Member<S>],
    bell: &Bell,
    shortage: &mut Shortage,
    until: Option<Instant>,
) -> Result<Vec<Waited>, SourceError> {
    members.iter_mut().filter(|member| member.is_live()).for_each(learn);
    let (ready, mut waited) = Asked::of(members, until).sleep(bell, shortage)?;
    // Whatever rang until here has ended this wait.
    bell.take();
    let past = Instant::now();
    for (index, member) in members.iter_mut().enumerate() {
        let woken = member.signal.take();
        if member.is_live() && (woken || ready.contains(&index)) {
            waited.push((index, member.source.wait(Some(past))));
        }
    }
    Ok(waited)
}

/// Finds out whether a source can be watched: the answer has to be known before it is lent out for it.
fn learn<S: FrameSource>(member: &mut Member<S>) {
    if member.blocks.is_none() {
        let watched = member.source.watch(&mut Watch::new(&member.waker));
        member.blocks = Some(watched == Watched::No);
    }
}

/// What the sources asked to be waited for.
struct Asked<'w, S> {
    descriptors: Vec<(usize, BorrowedFd<'w>)>,
    /// Those that can only be waited for by their own `wait`.
    blocking: Vec<(usize, &'w mut S)>,
    times: Vec<(usize, Instant)>,
    until: Option<Instant>,
    /// Nobody is to sleep; because of these, if any.
    is_ready: bool,
    ready: Vec<usize>,
}

impl<'w, S: FrameSource> Asked<'w, S> {
    fn of(members: &'w mut [Member<S>], until: Option<Instant>) -> Self {
        let (descriptors, blocking, times, ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut asked = Self { descriptors, blocking, times, until, is_ready: false, ready };
        let live = members.iter_mut().enumerate().filter(|(_, member)| member.is_live());
        for (index, Member { source, waker, blocks, .. }) in live {
            if *blocks == Some(true) {
                asked.blocking.push((index, source));
                continue;
            }
            let mut watch = Watch::new(waker);
            match source.watch(&mut watch) {
                Watched::Yes => asked.enter(index, &watch),
                // It has changed its mind; the next sleep, which comes at once, knows.
                Watched::No => (*blocks, asked.is_ready) = (Some(true), true),
            }
        }
        asked
    }

    fn enter(&mut self, index: usize, watch: &Watch<'w>) {
        self.descriptors.extend(watch.descriptors().iter().map(|descriptor| (index, *descriptor)));
        self.times.extend(watch.deadline().map(|time| (index, time)));
        if watch.is_ready() {
            self.is_ready = true;
            self.ready.push(index);
        }
    }

    /// Sleeps; returns the sources that are ready, and those that waited by themselves.
    fn sleep(
        mut self,
        bell: &Bell,
        shortage: &mut Shortage,
    ) -> Result<(Vec<usize>, Vec<Waited>), SourceError> {
        let until = self.times.iter().map(|(_, time)| *time).chain(self.until).min();
        let blocking = std::mem::take(&mut self.blocking);
        let waited = match self.is_ready || blocking.is_empty() {
            true => self.poll(bell, until).map(|()| Vec::new()),
            false => Beside::during(blocking, until, bell, shortage, |until| self.poll(bell, until)),
        };
        let now = Instant::now();
        self.ready.extend(self.times.iter().filter(|(_, time)| *time <= now).map(|(index, _)| *index));
        Ok((self.ready, waited?))
    }

    /// Sleeps on the bell and all descriptors, until a time.
    fn poll(&mut self, bell: &Bell, until: Option<Instant>) -> Result<(), SourceError> {
        let entry = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let descriptors = self.descriptors.iter().map(|(_, descriptor)| *descriptor);
        let mut polled: Vec<_> = std::iter::once(bell.as_fd()).chain(descriptors).map(entry).collect();
        let left = match self.is_ready || bell.take() {
            true => Some(Timespec::default()),
            false => until.map(time_left),
        };
        match poll(&mut polled, left.as_ref()) {
            // A signal is a reason to return like the others.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(SourceError::io("wait for several sources")(error.into())),
        }
        let answers = self.descriptors.iter().zip(polled.iter().skip(1));
        let readable =
            answers.filter(|(_, polled)| !polled.revents().is_empty()).map(|((index, _), _)| *index);
        self.ready.extend(readable);
        Ok(())
    }
}

/// The time from now to `until`, as the system wants it.
fn time_left(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP);
    // Neither is cut: a day has few seconds, and a second less than 2^30 nanoseconds.
    Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() }
}
