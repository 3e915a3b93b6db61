//! Rows of words in guest memory: the fields of a ring.

#![allow(unsafe_code, reason = "loads and stores words through raw pointers into guest memory")]

use std::marker::PhantomData;

use super::{Gpa, GuestMemory, GuestSlice, MemoryError, Translator};
use crate::sync::{Ordering, Word};

/// `len` words of guest memory, aligned, little-endian, loaded and stored whole.
///
/// Its bounds are checked when it is made and at each access: outside of them a load gives zero and a store goes nowhere, and a
/// debug build panics.
#[derive(Clone, Copy, Debug)]
pub struct GuestArray<'m, T> {
    first: *mut T,
    len: usize,
    memory: PhantomData<&'m ()>,
}

/// No words at all.
impl<T> Default for GuestArray<'_, T> {
    fn default() -> Self {
        Self { first: std::ptr::null_mut(), len: 0, memory: PhantomData }
    }
}

impl<'m, T: Word> GuestArray<'m, T> {
    /// The `len` words from `at`.
    ///
    /// # Errors
    /// When the range is not backed, not contiguous in the host, or not aligned for the word there.
    pub fn new<M: GuestMemory + ?Sized>(
        memory: &mut Translator<'m, M>,
        at: Gpa,
        len: usize,
    ) -> Result<Self, MemoryError> {
        let bytes = len.saturating_mul(size_of::<T>());
        let host = memory.contiguous(at, bytes)?;
        Self::over(host, len).ok_or(MemoryError::Misaligned { at, alignment: size_of::<T>() })
    }

    /// The first `len` words of a slice, if it holds them and is aligned for them.
    #[must_use]
    #[inline]
    pub fn over(host: GuestSlice<'m>, len: usize) -> Option<Self> {
        let first = host.as_ptr().cast::<T>();
        let fits = len.saturating_mul(size_of::<T>()) <= host.len();
        // Atomic accesses need more than some systems align the word itself to.
        let is_aligned = first.addr().is_multiple_of(size_of::<T>());
        (fits && is_aligned).then_some(Self { first, len, memory: PhantomData })
    }

    /// How many words there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Loads word `index`.
    #[must_use]
    #[inline(always)]
    pub fn load(&self, index: usize, order: Ordering) -> T
    where
        T: Default,
    {
        if index >= self.len {
            debug_assert!(false, "word {index} of {}", self.len);
            return T::default();
        }
        // SAFETY: inside of the range that was checked when the array was made, which lives for `'m`.
        unsafe { T::load(self.first.add(index), order) }
    }

    /// Stores word `index`.
    #[inline(always)]
    pub fn store(&self, index: usize, value: T, order: Ordering) {
        if index >= self.len {
            debug_assert!(false, "word {index} of {}", self.len);
            return;
        }
        // SAFETY: inside of the range that was checked when the array was made, which lives for `'m`.
        unsafe { T::store(self.first.add(index), value, order) }
    }
}

/// A power of two of entries in guest memory, of `STRIDE` bytes each, indexed by a free-running position.
///
/// Every position is an entry, so an access needs no check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestRing<'m, const STRIDE: usize> {
    first: *mut u8,
    mask: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m, const STRIDE: usize> GuestRing<'m, STRIDE> {
    /// The first `size` entries of a slice, if it holds them and is aligned for words of type `T`, the largest that is in
    /// them. A size that is no power of two is rounded down to one, and 0 up to 1.
    #[inline]
    pub(crate) fn over<T: Word>(host: GuestSlice<'m>, size: u16) -> Option<Self> {
        let size = 1 << size.checked_ilog2().unwrap_or(0);
        let words = GuestArray::<T>::over(host, size * STRIDE / size_of::<T>())?;
        Some(Self { first: words.first.cast(), mask: size - 1, memory: PhantomData })
    }

    /// The `count` entries from `position` on, or as many of them as come before the ring wraps.
    #[inline(always)]
    pub(crate) fn run(&self, position: usize, count: usize) -> GuestRun<'m, STRIDE> {
        let start = position & self.mask;
        let len = count.min(self.mask + 1 - start);
        GuestRun { first: self.first.wrapping_add(start * STRIDE), len, memory: PhantomData }
    }

    /// Loads the word that lies `AT` bytes into an entry.
    #[inline(always)]
    pub(crate) fn load<T: Word, const AT: usize>(&self, position: usize) -> T {
        // SAFETY: masked, the word lies inside of the range that was checked when the ring was made, for `'m`.
        unsafe { T::load(self.word::<T, AT>(position), Ordering::Relaxed) }
    }

    #[inline(always)]
    fn word<T: Word, const AT: usize>(&self, position: usize) -> *mut T {
        const { assert!(AT + size_of::<T>() <= STRIDE && AT.is_multiple_of(size_of::<T>())) };
        self.first.wrapping_add((position & self.mask) * STRIDE + AT).cast()
    }
}

/// Neighbouring entries of a [`GuestRing`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestRun<'m, const STRIDE: usize> {
    first: *mut u8,
    len: usize,
    memory: PhantomData<&'m ()>,
}

/// None at all.
impl<const STRIDE: usize> Default for GuestRun<'_, STRIDE> {
    fn default() -> Self {
        Self { first: std::ptr::null_mut(), len: 0, memory: PhantomData }
    }
}

impl<const STRIDE: usize> GuestRun<'_, STRIDE> {
    /// Those from the `count`th on.
    #[inline(always)]
    pub(crate) fn skip(&self, count: usize) -> Self {
        let count = count.min(self.len);
        Self { first: self.first.wrapping_add(count * STRIDE), len: self.len - count, memory: PhantomData }
    }

    /// At most the first `count`.
    #[inline(always)]
    pub(crate) fn take(&self, count: usize) -> Self {
        Self { len: self.len.min(count), ..*self }
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Loads the word that lies `AT` bytes into entry `index`, if there is one.
    #[inline(always)]
    pub(crate) fn load<T: Word, const AT: usize>(&self, index: usize) -> Option<T> {
        // SAFETY: the word lies inside of an entry of the ring, which was checked when the ring was made.
        (index < self.len).then(|| unsafe { T::load(self.word::<T, AT>(index), Ordering::Relaxed) })
    }

    /// Stores the word that lies `AT` bytes into entry `index`, if there is one.
    #[inline(always)]
    pub(crate) fn store<T: Word, const AT: usize>(&self, index: usize, value: T) {
        if index < self.len {
            // SAFETY: as for `load`.
            unsafe { T::store(self.word::<T, AT>(index), value, Ordering::Relaxed) }
        }
    }

    #[inline(always)]
    fn word<T: Word, const AT: usize>(&self, index: usize) -> *mut T {
        const { assert!(AT + size_of::<T>() <= STRIDE && AT.is_multiple_of(size_of::<T>())) };
        self.first.wrapping_add(index * STRIDE + AT).cast()
    }
}
