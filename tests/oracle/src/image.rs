//! A guest's memory as plain bytes, for whoever needs no speed and no sharing.

use netrx::Gpa;
use netrx_mock::MockMemory;

/// A copy of a guest's memory.
#[derive(Clone, Debug)]
pub struct Image {
    regions: Vec<(u64, Vec<u8>)>,
}

impl Image {
    /// What `memory` holds now.
    #[must_use]
    pub fn of(memory: &MockMemory) -> Self {
        let regions = memory.regions().iter().map(|&(start, len)| (start.0, vec![0; len])).collect();
        let mut image = Self { regions };
        for &(start, len) in memory.regions() {
            image.fetch(memory, start, len);
        }
        image
    }

    /// Copies a part of `memory` over what the image has there.
    pub fn fetch(&mut self, memory: &MockMemory, at: Gpa, len: usize) {
        if let (Some(to), Ok(from)) = (self.run_mut(at.0, len), memory.slice(at, len)) {
            from.copy_to(to);
        }
    }

    /// Makes `memory` what the image is.
    pub fn restore(&self, memory: &MockMemory) {
        for (start, bytes) in &self.regions {
            if let Ok(to) = memory.slice(Gpa(*start), bytes.len()) {
                to.copy_from(bytes);
            }
        }
    }

    /// The first byte in which `memory` is not what the image is.
    #[must_use]
    pub fn first_difference(&self, memory: &MockMemory) -> Option<Gpa> {
        let mut found = [0; 4096];
        for (start, bytes) in &self.regions {
            for (at, expected) in (*start..).step_by(found.len()).zip(bytes.chunks(found.len())) {
                let found = &mut found[..expected.len()];
                memory.slice(Gpa(at), expected.len()).ok()?.copy_to(found);
                if found != expected {
                    let same = expected.iter().zip(found).take_while(|(expected, found)| *expected == *found);
                    return Some(Gpa(at + same.count() as u64));
                }
            }
        }
        None
    }

    /// Whether all `len` bytes from `at` are memory.
    #[must_use]
    pub fn holds(&self, at: u64, len: u64) -> bool {
        let Some(end) = at.checked_add(len) else { return false };
        let mut at = at;
        while at < end {
            let Some((start, bytes)) = self.region(at) else { return false };
            at = end.min(start + bytes.len() as u64);
        }
        true
    }

    /// The `N` bytes from `at`, over as many regions as they span.
    #[must_use]
    pub fn read<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut found = [0; N];
        for (byte, offset) in found.iter_mut().zip(0..) {
            let at = at.checked_add(offset)?;
            let (start, bytes) = self.region(at)?;
            *byte = bytes[(at - start) as usize];
        }
        Some(found)
    }

    /// Writes as much of `bytes` as is memory, over as many regions as they span.
    pub fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while let Some(run) = self.run_mut(at, bytes.len()).filter(|run| !run.is_empty()) {
            let done = run.len();
            run.copy_from_slice(&bytes[..done]);
            at += done as u64;
            bytes = &bytes[done..];
        }
    }

    /// The regions: where each begins, and its bytes.
    #[must_use]
    pub fn regions(&self) -> &[(u64, Vec<u8>)] {
        &self.regions
    }

    fn region(&self, at: u64) -> Option<(u64, &[u8])> {
        let holds = |(start, bytes): &&(u64, Vec<u8>)| at >= *start && at - start < bytes.len() as u64;
        self.regions.iter().find(holds).map(|(start, bytes)| (*start, bytes.as_slice()))
    }

    /// At most `len` bytes from `at`, within one region.
    fn run_mut(&mut self, at: u64, len: usize) -> Option<&mut [u8]> {
        let holds = |(start, bytes): &&mut (u64, Vec<u8>)| at >= *start && at - *start < bytes.len() as u64;
        let (start, bytes) = self.regions.iter_mut().find(holds)?;
        let from = (at - *start) as usize;
        let to = bytes.len().min(from.saturating_add(len));
        Some(&mut bytes[from..to])
    }
}
