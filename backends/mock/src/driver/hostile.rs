//! A driver that breaks the rules.

use netrx::Gpa;

use super::config::{descriptor, write_entry};
use super::{FakeDriver, Words};

/// Raw access to a driver's side of the ring: every word can be given any value, at any time.
#[derive(Debug)]
pub struct Hostile<'d> {
    driver: &'d mut FakeDriver,
}

impl<'d> Hostile<'d> {
    pub(super) fn new(driver: &'d mut FakeDriver) -> Self {
        Self { driver }
    }

    fn words(&self) -> Words<'_> {
        self.driver.words()
    }

    /// Writes a descriptor of the queue's table.
    pub fn descriptor(&mut self, index: u16, at: Gpa, len: u32, flags: u16, next: u16) -> &mut Self {
        self.words().set_descriptor(index, descriptor(at, len, flags, next));
        self
    }

    /// Writes a descriptor into an indirect table at `table`.
    pub fn entry(&mut self, table: Gpa, index: usize, at: Gpa, len: u32, flags: u16, next: u16) -> &mut Self {
        write_entry(&self.driver.memory, table, index, descriptor(at, len, flags, next));
        self
    }

    /// Makes a head available, whether or not it is a chain's, or free.
    pub fn offer(&mut self, head: u16) -> &mut Self {
        let index = self.driver.next_avail;
        self.words().set_avail_entry(index, head);
        self.driver.next_avail = index.wrapping_add(1);
        let chain = self.driver.by_head.get(usize::from(head)).copied().flatten();
        if let Some(chain) = chain {
            self.driver.posted[chain] = true;
            self.driver.free.retain(|free| *free != chain);
        }
        self.words().publish_avail(self.driver.next_avail);
        self
    }

    /// Writes the available index, whatever was made available.
    pub fn avail_index(&mut self, index: u16) -> &mut Self {
        self.words().publish_avail(index);
        self
    }

    /// The available index as the driver has it.
    #[must_use]
    pub fn next_avail(&self) -> u16 {
        self.driver.next_avail
    }

    /// The used entries that came since the last look, raw: id and length.
    pub fn used(&mut self) -> Vec<(u32, u32)> {
        let mut entries = Vec::new();
        while self.words().used_index() != self.driver.next_used {
            entries.push(self.words().used_entry(self.driver.next_used));
            self.driver.next_used = self.driver.next_used.wrapping_add(1);
        }
        entries
    }

    /// Where a chain's buffers are, and how long.
    #[must_use]
    pub fn buffers(&self, chain: usize) -> &[(Gpa, u32)] {
        &self.driver.chains[chain].buffers
    }
}
