//! Nothing is allocated for a frame, nor for what the guest says of it.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]
#![allow(unsafe_code, reason = "a global allocator")]

mod bare;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::time::Instant;

use netrx::{Features, FrameSource, Progress};
use netrx_mock::{Shape, Taken};
use netrx_tcp::Promotion;

use bare::{Bare, FIRST, HEADERS, STUCK, ack, pair, promotion};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: all is the system's doing; the counter is a plain number that needs no allocation itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What a call allocates on this thread.
fn counted<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATIONS.get();
    let value = call();
    (value, ALLOCATIONS.get() - before)
}

/// Lists grow to a size that depends on how the threads meet, some of them late: a few allocations, not one for each of thousands
/// of reads.
const FEW: u64 = 16;

/// Takes 16 MiB over one connection, of which the first quarter is to get warm.
fn transfer(features: Features, shape: Shape) {
    const BYTES: u32 = 16 << 20;
    let mut bare = Bare::with(4, features, shape);
    let (near, mut far) = pair();
    let promotion = Promotion { scale: 5, ..promotion(near, 1 << 20) };
    let connection = bare.promoter.promote(promotion).expect("it is taken over");
    let sender = std::thread::spawn(move || (far.write_all(&vec![0; BYTES as usize]), far));
    let (mut got, mut allocations, mut taken, begin) = (0, 0, Taken::default(), Instant::now());
    while got < BYTES {
        assert!(begin.elapsed() < STUCK, "{got} bytes came");
        bare.driver.post(usize::MAX);
        let (progress, polling) = counted(|| bare.engine.poll(&mut bare.source, Instant::now()));
        let progress = progress.expect("nothing is fatal");
        let each = |taken: &Taken| got += (taken.frame.len() - HEADERS) as u32;
        bare.driver.drain(&mut taken, each).expect("the guest has no complaint");
        let (said, saying) = counted(|| connection.segment(&ack(FIRST + got, 1 << 15)));
        said.expect("it was sent");
        let wait = progress == Progress::Idle && got < BYTES;
        let (waited, waiting) = counted(|| if wait { bare.source.wait(Some(begin + STUCK)) } else { Ok(()) });
        waited.expect("it waits");
        allocations += if got > BYTES / 4 { polling + saying + waiting } else { 0 };
    }
    drop(sender.join().expect("the sender is well"));
    assert!(allocations <= FEW, "{allocations} allocations");
}

#[test]
fn frames_with_offloads_allocate_nothing() {
    let offloads = Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::MRG_RXBUF;
    transfer(Features::VERSION_1 | offloads, Shape::single(60_000));
}

#[test]
fn frames_without_offloads_allocate_nothing() {
    transfer(Features::VERSION_1, Shape::single(2048));
}
