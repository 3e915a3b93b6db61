//! A driver of a ring of one or two buffers, after the book (sections 2.7.7, 2.7.10 and 2.7.13).

use std::sync::Arc;

use loom::sync::atomic::{Ordering, fence};
use netrx::mem::{GuestArray, Translator, Word};
use netrx::ring::{Cursor, RingConfig};
use netrx::spec::ring::{AVAIL_NO_INTERRUPT, DESC_WRITE, USED_NO_NOTIFY, crosses};
use netrx::{Features, Gpa};

use crate::{Ram, Touched};

const AVAIL: u64 = 0x40;
const USED: u64 = 0x80;
const BUFFERS: u64 = 0x100;
const BUFFER: u64 = 0x40;

/// Bytes of the header in front of each frame.
const HEADER: usize = 12;

/// A driver and its ring.
pub struct Guest {
    ram: Arc<Ram>,
    features: Features,
    size: u16,
    /// Both indices at first.
    start: u16,
    next_avail: u16,
    next_used: u16,
    touched: Arc<[Touched]>,
    /// The number of the last frame; the first has number 1.
    last_taken: u8,
}

impl Guest {
    /// A ring with one buffer of `len` bytes, at most 64, in each of its `size` descriptors, none of them posted.
    #[must_use]
    pub fn new(size: u16, len: u32, features: Features) -> Self {
        let ram = Arc::new(Ram::new((BUFFERS + BUFFER * u64::from(size)) as usize));
        let touched = (0..size).map(|_| Touched::default()).collect();
        let guest =
            Self { ram, features, size, start: 0, next_avail: 0, next_used: 0, touched, last_taken: 0 };
        guest.set_up(len);
        guest
    }

    /// The same ring with both indices at `start`, a multiple of the ring's size, before the threads exist.
    #[must_use]
    pub fn starting_at(self, start: u16) -> Self {
        self.avail().store(1, start, Ordering::Relaxed);
        self.used().store(1, start, Ordering::Relaxed);
        Self { start, next_avail: start, next_used: start, ..self }
    }

    /// Writes every word of the ring once, so that all of them exist before the threads do.
    fn set_up(&self, len: u32) {
        // To loom a word is its address and is always accessed whole, so these are the words that the device loads.
        let addresses = self.array::<u64>(0, 2 * usize::from(self.size));
        let lengths = self.array::<u32>(0, 4 * usize::from(self.size));
        let halves = self.array::<u16>(0, 8 * usize::from(self.size));
        for head in 0..usize::from(self.size) {
            addresses.store(2 * head, self.buffer(head as u16).0, Ordering::Relaxed);
            lengths.store(4 * head + 2, len, Ordering::Relaxed);
            halves.store(8 * head + 6, DESC_WRITE, Ordering::Relaxed);
            halves.store(8 * head + 7, 0, Ordering::Relaxed);
        }
        let (avail, used, entries) = (self.avail(), self.used(), self.used_entries());
        (0..avail.len()).for_each(|word| avail.store(word, 0, Ordering::Relaxed));
        (0..used.len()).for_each(|word| used.store(word, 0, Ordering::Relaxed));
        (0..entries.len()).for_each(|word| entries.store(word, 0, Ordering::Relaxed));
        self.avail_event().store(0, 0, Ordering::Relaxed);
    }

    /// The queue's registers.
    #[must_use]
    pub fn ring_config(&self) -> RingConfig {
        let at = |offset| Gpa(Ram::START.0 + offset);
        RingConfig {
            size: self.size,
            desc: at(0),
            avail: at(AVAIL),
            used: at(USED),
            start: Cursor { next_avail: self.start, next_used: self.start },
        }
    }

    /// What it acknowledged.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// The memory that it lives in.
    #[must_use]
    pub fn memory(&self) -> Arc<Ram> {
        Arc::clone(&self.ram)
    }

    /// Its buffers' stand-ins, by head.
    #[must_use]
    pub fn touched(&self) -> Arc<[Touched]> {
        Arc::clone(&self.touched)
    }

    /// Makes the next buffer available, in turn; whether the device wants a kick for it.
    #[must_use]
    pub fn post(&mut self) -> bool {
        let before = self.next_avail;
        let slot = before % self.size;
        self.avail().store(2 + usize::from(slot), slot, Ordering::Relaxed);
        self.next_avail = before.wrapping_add(1);
        self.avail().store(1, self.next_avail, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.features.has(Features::EVENT_IDX) {
            crosses(self.avail_event().load(0, Ordering::Relaxed), before, self.next_avail)
        } else {
            self.used().load(0, Ordering::Relaxed) & USED_NO_NOTIFY == 0
        }
    }

    /// Takes the next frame, if there is one, and checks everything about it; returns its number.
    ///
    /// # Panics
    /// When the device showed a buffer before it was done with it, or a part of a frame.
    #[must_use]
    pub fn take(&mut self) -> Option<u8> {
        let mut frame = self.take_buffer()?;
        let buffers = u16::from_le_bytes([frame[10], frame[11]]);
        frame.drain(..HEADER);
        for _ in 1..buffers {
            let rest = self.take_buffer();
            assert!(rest.is_some(), "a frame's buffers are shown all at once");
            frame.extend(rest.unwrap_or_default());
        }
        assert!(frame.iter().all(|byte| *byte == frame[0]), "the frame is whole: {frame:?}");
        Some(frame[0])
    }

    /// Takes what was written to the next used buffer, if there is one.
    fn take_buffer(&mut self) -> Option<Vec<u8>> {
        let used = self.used_index().wrapping_sub(self.next_used);
        assert!(used <= self.next_avail.wrapping_sub(self.next_used), "no more is used than was posted");
        if used == 0 {
            return None;
        }
        let slot = self.next_used % self.size;
        let entry = 2 * usize::from(slot);
        let id = self.used_entries().load(entry, Ordering::Relaxed);
        let written = self.used_entries().load(entry + 1, Ordering::Relaxed) as usize;
        assert_eq!(id, u32::from(slot), "the used entry is visible");
        assert!(written > 0, "so is its length");
        self.touched[usize::from(slot)].read();
        self.next_used = self.next_used.wrapping_add(1);
        let mut bytes = vec![0; written];
        let found = Translator::new(&*self.ram).read(self.buffer(slot), &mut bytes);
        assert!(found.is_ok(), "the buffer is in memory");
        Some(bytes)
    }

    /// Takes `frames` frames, and calls `sleep` whenever there is none and an interrupt will come.
    ///
    /// # Panics
    /// When a frame is lost or out of order.
    pub fn take_many(&mut self, frames: u8, sleep: impl Fn()) {
        for _ in 0..frames {
            self.last_taken += 1;
            assert_eq!(self.take_one(&sleep), self.last_taken, "frames in order");
        }
    }

    fn take_one(&mut self, sleep: impl Fn()) -> u8 {
        loop {
            self.ignore_interrupts();
            if let Some(number) = self.take() {
                return number;
            }
            if !self.want_interrupt() {
                sleep();
            }
        }
    }

    /// Asks for an interrupt at the next used entry; `true` if there already is one, and the interrupt may not come.
    #[must_use]
    pub fn want_interrupt(&self) -> bool {
        if self.features.has(Features::EVENT_IDX) {
            self.avail().store(self.used_event(), self.next_used, Ordering::Relaxed);
        } else {
            self.avail().store(0, 0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        self.used_index() != self.next_used
    }

    /// Asks for no interrupts.
    pub fn ignore_interrupts(&self) {
        if self.features.has(Features::EVENT_IDX) {
            self.avail().store(self.used_event(), self.next_used.wrapping_sub(1), Ordering::Relaxed);
        } else {
            self.avail().store(0, AVAIL_NO_INTERRUPT, Ordering::Relaxed);
        }
    }

    /// The used index, as the device published it.
    #[must_use]
    pub fn used_index(&self) -> u16 {
        self.used().load(1, Ordering::Acquire)
    }

    fn buffer(&self, head: u16) -> Gpa {
        Gpa(Ram::START.0 + BUFFERS + BUFFER * u64::from(head))
    }

    fn used_event(&self) -> usize {
        2 + usize::from(self.size)
    }

    fn avail(&self) -> GuestArray<'_, u16> {
        self.array(AVAIL, usize::from(self.size) + 3)
    }

    fn used(&self) -> GuestArray<'_, u16> {
        self.array(USED, 2)
    }

    fn used_entries(&self) -> GuestArray<'_, u32> {
        self.array(USED + 4, 2 * usize::from(self.size))
    }

    fn avail_event(&self) -> GuestArray<'_, u16> {
        self.array(USED + 4 + 8 * u64::from(self.size), 1)
    }

    fn array<T: Word>(&self, offset: u64, len: usize) -> GuestArray<'_, T> {
        let at = Gpa(Ram::START.0 + offset);
        GuestArray::new(&mut Translator::new(&*self.ram), at, len).unwrap_or_default()
    }
}
