//! What the suites refuse.

#![allow(unsafe_code, reason = "a memory that hands out too much")]

use netrx::mem::Region;
use netrx::{Gpa, GuestMemory};
use netrx_mock::{MockMemory, conformance};

/// Bytes that [`Overlong`] has, in one region.
const LEN: usize = 4096;

/// Memory that is the beginning of another's, and hands out all of the other's.
struct Overlong(MockMemory);

// SAFETY: forwards to the memory that it holds, which is mapped beyond the end of this one.
unsafe impl GuestMemory for Overlong {
    fn region(&self, at: Gpa) -> Option<Region<'_>> {
        self.0.region(at).filter(|region| at.0 - region.start.0 < LEN as u64)
    }
}

#[test]
#[should_panic(expected = "4097 bytes from the last one of the region")]
fn a_memory_that_hands_out_more_than_its_region_is_refused() {
    conformance::memory(|| {
        let memory = MockMemory::heap(&[2 * LEN]);
        let start = memory.regions()[0].0;
        (Overlong(memory), vec![(start, LEN)])
    });
}
