//! The fast lane: a frame goes straight from the available to the used ring.
//!
//! A [plain](super::finder) chain needs no walk and no place in the pool: it is checked, filled and staged by itself. Any other
//! the lane declines without a trace.

use super::areas::{Areas, AvailRun, UsedRun, write_used};
use super::finder::{Buffers, Finder};
use super::{Burst, BurstEnd, Cursor};
use crate::mem::{Header, Parts};

/// Available chains into which frames may be placed without the pool, and the used entries behind which they come.
///
/// While it is open the pool is empty, so the two keep step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane<'t> {
    avail: AvailRun<'t>,
    used: UsedRun<'t>,
    placed: usize,
}

impl<'t> Lane<'t> {
    /// The lane from `cursor` on, for at most `len` frames. It ends where either ring wraps.
    #[inline]
    pub(super) fn new(areas: &Areas<'t>, cursor: Cursor, len: usize) -> Self {
        let avail = areas.avail_run(cursor.next_avail, len);
        let used = areas.used_run(cursor.next_used, avail.len());
        Self { avail: avail.take(used.len()), used, placed: 0 }
    }

    /// Shuts it; returns how many frames were placed in it.
    #[inline]
    pub(super) fn shut(&mut self) -> usize {
        self.avail = AvailRun::default();
        std::mem::take(&mut self.placed)
    }

    /// Copies header and frame into the next chain and stages it; returns how many bytes it now has. `None` if there is no
    /// chain, or not for this frame: nothing has changed then.
    #[inline(always)]
    pub(super) fn place(
        &mut self,
        mut finder: Finder<'_, 't>,
        header: &Header,
        frame: &[u8],
    ) -> Option<usize> {
        let head = self.avail.load::<u16, 0>(self.placed)?;
        let written = match fill_buffer(&mut finder.reborrow(), head, header, frame) {
            Some(written) => written,
            None => fill_chain(&mut finder, head, header, frame)?,
        };
        write_used(&self.used, self.placed, head, written as u32);
        self.placed += 1;
        Some(written)
    }

    /// The same for frame after frame, until one is declined; adds the bytes of those placed to `bytes`.
    #[inline(always)]
    pub(super) fn place_burst<'f, I, F>(
        &mut self,
        mut finder: Finder<'_, 't>,
        header: &Header,
        frames: &mut I,
        bytes: &mut u64,
    ) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        // What the loop over single buffers looks at stays in registers: nothing that is called gets to see it.
        let (mut local, own) = (finder.reborrow(), *header);
        let singles =
            self.place_each(frames, bytes, |head, frame| fill_buffer(&mut local, head, &own, frame));
        let BurstEnd::Declined(frame) = singles.end else { return singles };
        let mut left = std::iter::once(frame).chain(frames);
        let chains =
            self.place_each(&mut left, bytes, |head, frame| fill_chain(&mut finder, head, header, frame));
        Burst { frames: singles.frames + chains.frames, end: chains.end }
    }

    /// Lets `fill` copy frame after frame into the chain of a head, and stages those.
    #[inline(always)]
    fn place_each<'f, I, F>(
        &mut self,
        frames: &mut I,
        bytes: &mut u64,
        mut fill: impl FnMut(u16, &[u8]) -> Option<usize>,
    ) -> Burst<I::Item>
    where
        I: Iterator<Item = &'f F>,
        F: AsRef<[u8]> + ?Sized + 'f,
    {
        let (avail, used) = (self.avail.skip(self.placed), self.used.skip(self.placed));
        // One length, known to be that of both, is one check.
        let left = avail.len().min(used.len());
        let (avail, used) = (avail.take(left), used.take(left));
        let mut sum = Sum { frames: 0, bytes: 0, placed: &mut self.placed, entered: bytes };
        while let Some(head) = avail.load::<u16, 0>(sum.frames) {
            let Some(next) = frames.next() else {
                return Burst { frames: sum.frames, end: BurstEnd::Frames };
            };
            let frame = next.as_ref();
            let Some(written) = fill(head, frame) else {
                return Burst { frames: sum.frames, end: BurstEnd::Declined(next) };
            };
            write_used(&used, sum.frames, head, written as u32);
            sum.frames += 1;
            sum.bytes += frame.len() as u64;
        }
        Burst { frames: sum.frames, end: BurstEnd::Lane }
    }
}

/// What was placed; entered at the end, even if the frames' iterator panics.
struct Sum<'s> {
    frames: usize,
    bytes: u64,
    placed: &'s mut usize,
    entered: &'s mut u64,
}

impl Drop for Sum<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.placed += self.frames;
        *self.entered += self.bytes;
    }
}

/// Copies header and frame into a chain that is one buffer.
#[inline(always)]
fn fill_buffer(finder: &mut Finder<'_, '_>, head: u16, header: &Header, frame: &[u8]) -> Option<usize> {
    let now = finder.now();
    let (_, buffer, epoch) = finder.buffer(head)?;
    let written = buffer.copy_headed(header, frame)?;
    *epoch = now;
    Some(written)
}

/// Copies header and frame into a chain of a few buffers.
#[inline(never)]
fn fill_chain(finder: &mut Finder<'_, '_>, head: u16, header: &Header, frame: &[u8]) -> Option<usize> {
    let (now, mut buffers) = (finder.now(), Buffers::new());
    let (room, epoch) = finder.chain(head, &mut buffers)?;
    if !header.allows(frame.len(), room) {
        return None;
    }
    let (first, behind) = buffers.split_first()?;
    let (front, mut left) = frame.split_at(frame.len().min(first.len().saturating_sub(header.len())));
    if first.copy_headed(header, front).is_some() {
        for buffer in behind {
            if left.is_empty() {
                break;
            }
            buffer.take_from(&mut left);
        }
    } else {
        let mut parts = Parts::new(header.bytes(), frame);
        for buffer in &buffers {
            parts.copy_to(*buffer);
        }
    }
    *epoch = now;
    Some(header.len() + frame.len())
}
