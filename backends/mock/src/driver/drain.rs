//! Taking used entries back, and checking all that the device said and wrote.

use netrx::Features;

use super::words::Words;
use super::{ChainPlan, FakeDriver};

/// A frame as the driver found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its header: 10 or 12 bytes.
    pub header: Vec<u8>,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// How many chains it came in.
    pub chains: u16,
}

/// Something that no correct device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A used entry names a chain that is not posted.
    #[error("a used entry names chain {0}, which is not posted")]
    NotPosted(u32),
    /// More used entries than chains.
    #[error("the used index says {0} entries, more than were posted")]
    Jump(u16),
    /// A used length is above what the chain holds.
    #[error("chain {head} holds {capacity} bytes, the device says that it wrote {written}")]
    TooMuch {
        /// The chain.
        head: u16,
        /// What it holds, in bytes.
        capacity: u64,
        /// What the device says.
        written: u32,
    },
    /// A frame's first chain does not even hold a header.
    #[error("chain {head} came back with {written} bytes, less than a header")]
    NoHeader {
        /// The chain.
        head: u16,
        /// What the device says that it wrote.
        written: u32,
    },
    /// The header counts more buffers than were used, or none, or several without the feature.
    #[error("the header counts {0} buffers")]
    Buffers(u16),
    /// A chain amid a frame was not filled although the frame goes on in the next one.
    #[error("chain {0} is not full although its frame goes on")]
    Gap(u16),
}

impl FakeDriver {
    /// Hands every frame that is there to `each`, and frees its chains.
    ///
    /// `taken` is written anew for each frame; keep it from call to call to allocate nothing.
    ///
    /// # Errors
    /// The first violation. The ring is not to be used any more then.
    pub fn drain(&mut self, taken: &mut Taken, mut each: impl FnMut(&Taken)) -> Result<usize, Violation> {
        let memory = self.memory.clone();
        let words = Words::map(&memory, &self.ring);
        let mut frames = 0;
        while let Some((chain, written)) = self.next_used(&words)? {
            if written == 0 {
                self.emptied += 1;
                self.give_back(chain);
                continue;
            }
            self.gather(&words, chain, written, taken)?;
            each(taken);
            frames += 1;
        }
        Ok(frames)
    }

    /// Every frame that is there.
    ///
    /// # Errors
    /// As for [`drain`](Self::drain).
    pub fn drain_frames(&mut self) -> Result<Vec<Vec<u8>>, Violation> {
        let mut frames = Vec::new();
        self.drain(&mut Taken::default(), |taken| frames.push(taken.frame.clone()))?;
        Ok(frames)
    }

    /// The next used entry's chain and length, if there is one.
    fn next_used(&mut self, words: &Words<'_>) -> Result<Option<(usize, u32)>, Violation> {
        let entries = words.used_index().wrapping_sub(self.next_used);
        if entries == 0 {
            return Ok(None);
        }
        if entries > self.next_avail.wrapping_sub(self.next_used) {
            return Err(Violation::Jump(entries));
        }
        let (id, written) = words.used_entry(self.next_used);
        let chain = self.by_head.get(id as usize).copied().flatten();
        let chain = chain.filter(|chain| self.posted[*chain]).ok_or(Violation::NotPosted(id))?;
        self.posted[chain] = false;
        self.next_used = self.next_used.wrapping_add(1);
        let ChainPlan { head, .. } = self.chains[chain];
        let capacity = self.chains[chain].capacity();
        if u64::from(written) > capacity {
            return Err(Violation::TooMuch { head, capacity, written });
        }
        Ok(Some((chain, written)))
    }

    /// Puts a frame together that begins in `chain`.
    fn gather(
        &mut self,
        words: &Words<'_>,
        chain: usize,
        written: u32,
        taken: &mut Taken,
    ) -> Result<(), Violation> {
        taken.frame.clear();
        self.append(chain, written, &mut taken.frame);
        if taken.frame.len() < self.header_len {
            return Err(Violation::NoHeader { head: self.chains[chain].head, written });
        }
        taken.header.clear();
        taken.header.extend(taken.frame.drain(..self.header_len));
        taken.chains = self.count_buffers(&taken.header)?;
        let mut full = u64::from(written) == self.chains[chain].capacity();
        let mut last = chain;
        self.give_back(chain);
        for _ in 1..taken.chains {
            if !full {
                return Err(Violation::Gap(self.chains[last].head));
            }
            let (chain, written) = self.next_used(words)?.ok_or(Violation::Buffers(taken.chains))?;
            self.append(chain, written, &mut taken.frame);
            full = u64::from(written) == self.chains[chain].capacity();
            last = chain;
            self.give_back(chain);
        }
        Ok(())
    }

    /// How many chains the frame has, by its header.
    fn count_buffers(&self, header: &[u8]) -> Result<u16, Violation> {
        let &[.., low, high] = header else { return Ok(1) };
        let buffers = u16::from_le_bytes([low, high]);
        match self.features {
            features if features.has(Features::MRG_RXBUF) && buffers > 0 => Ok(buffers),
            features if features.has(Features::MRG_RXBUF) => Err(Violation::Buffers(buffers)),
            features if features.has(Features::VERSION_1) && buffers != 1 => Err(Violation::Buffers(buffers)),
            _ => Ok(1),
        }
    }

    /// Appends the first `written` bytes of a chain.
    fn append(&self, chain: usize, written: u32, to: &mut Vec<u8>) {
        let mut left = written as usize;
        for &(at, len) in &self.chains[chain].buffers {
            let here = left.min(len as usize);
            let from = to.len();
            to.resize(from + here, 0);
            if let Ok(slice) = self.memory.slice(at, here) {
                slice.copy_to(&mut to[from..]);
            }
            left -= here;
        }
    }

    fn give_back(&mut self, chain: usize) {
        self.free.push_back(chain);
    }
}
