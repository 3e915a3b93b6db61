//! The engine does not allocate per frame: counted by the allocator, while the engine polls and at no other time.

#![allow(unsafe_code, reason = "stands in for the global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;

use netrx::engine::WhenFull;
use netrx::{EngineConfig, Features, FrameMeta, Placed, Received, RxSpace};
use netrx_mock::{DriverConfig, MockMemory, Rig, Shape, Taken, from_fn, traffic};

/// Frames that are counted over, after [`WARM`] others: the pool grows to the deepest backlog that it meets, and stays so.
const FRAMES: u64 = 100_000;
const WARM: u64 = 20_000;
/// Frames that a source has ready at once.
const BURST: u64 = 48;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Allocations of this thread since it began to count; `None` while it does not.
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    // A thread that ends has no counter any more, and nothing to count.
    let _ = COUNTED.try_with(|counted| counted.set(counted.get().map(|so_far| so_far + 1)));
}

// SAFETY: forwards to the system's allocator, and counts in a cell that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Calls `work` and counts its allocations.
fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    COUNTED.set(Some(0));
    let result = work();
    (result, COUNTED.take().unwrap_or_default())
}

/// How a source brings its frames in.
#[derive(Clone, Copy)]
enum Way {
    Put,
    PutBurst,
    Lend,
}

/// Frames of a source that has them ready, [`BURST`] at a time, and allocates nothing.
struct Ready {
    way: Way,
    frame: Vec<u8>,
    left: u64,
    /// As many as `put_burst` is given at once.
    row: Vec<Vec<u8>>,
}

impl Ready {
    fn new(way: Way, len: usize) -> Self {
        let frame = traffic::frame(0, len);
        Self { way, row: vec![frame.clone(); BURST as usize], frame, left: 0 }
    }

    fn place_all(&mut self, space: &mut RxSpace<'_>) -> Received {
        while self.left > 0 {
            if !self.place(space) {
                return Received::More;
            }
        }
        Received::Empty
    }

    /// Places frames by one call; whether there was room.
    fn place(&mut self, space: &mut RxSpace<'_>) -> bool {
        match self.way {
            Way::Put => {
                let placed = space.put(&self.frame, FrameMeta::PLAIN) != Placed::NoRoom;
                self.left -= u64::from(placed);
                placed
            }
            Way::PutBurst => {
                let row = self.row.get(..self.left as usize).unwrap_or_default();
                let taken = space.put_burst(row) as u64;
                self.left -= taken;
                taken > 0
            }
            Way::Lend => self.read(space),
        }
    }

    fn read(&mut self, space: &mut RxSpace<'_>) -> bool {
        let Some(mut lent) = space.lend_any(2 * self.frame.len(), 16) else { return false };
        if lent.must_peek() && lent.room(0) < self.frame.len() {
            let dropped = matches!(lent.too_long(), Placed::Dropped(_));
            self.left -= u64::from(dropped);
            return dropped;
        }
        for index in 0..lent.frames().min(self.left as usize) {
            let whole = lent.copy_in(index, &self.frame) == self.frame.len();
            let _ = if whole { lent.fill(self.frame.len(), FrameMeta::PLAIN) } else { lent.cut() };
            self.left -= 1;
        }
        true
    }
}

/// A case: buffers of the driver, and frames for them.
struct Case {
    features: Features,
    shape: Shape,
    len: usize,
    when_full: WhenFull,
}

impl Case {
    fn new(shape: Shape, len: usize) -> Self {
        Self { features: Features::VERSION_1 | Features::EVENT_IDX, shape, len, when_full: WhenFull::Wait }
    }

    fn with(self, features: Features) -> Self {
        Self { features: self.features | features, ..self }
    }

    /// Takes frames through the engine by every way, and fails if it allocates once it is warm.
    fn holds(self) -> Result<(), Box<dyn Error>> {
        for way in [Way::Put, Way::PutBurst, Way::Lend] {
            self.holds_by(way)?;
        }
        Ok(())
    }

    fn holds_by(&self, way: Way) -> Result<(), Box<dyn Error>> {
        let driver = DriverConfig::new(64, self.features, self.shape.clone());
        let config = EngineConfig { when_full: self.when_full, ..EngineConfig::default() };
        let mut rig = Rig::on(&MockMemory::heap(&[4 << 20]), driver, config)?;
        let counters = rig.engine.counters();
        let mut ready = Ready::new(way, self.len);
        let mut taken = Taken::default();
        let mut random = fastrand::Rng::with_seed(1);
        let mut allocations = 0;
        while counters.snapshot().frames_taken < WARM + FRAMES {
            let warm = counters.snapshot().frames_taken >= WARM;
            ready.left = if ready.left == 0 { BURST } else { ready.left };
            rig.driver.post(random.usize(1..=64));
            let mut source = from_fn(|space| ready.place_all(space));
            let (polled, allocated) = counted(|| rig.poll(&mut source));
            let _ = polled?;
            allocations += if warm { allocated } else { 0 };
            rig.driver.drain(&mut taken, |_| ())?;
        }
        assert_eq!(allocations, 0, "allocations over {FRAMES} frames");
        let drops = counters.snapshot().frames_dropped() > 0;
        assert_eq!(drops, self.when_full == WhenFull::DropNewest, "only who wants to drop drops");
        Ok(())
    }
}

#[test]
fn the_counter_counts() {
    let (numbers, allocations) = counted(|| vec![1, 2, 3]);
    assert_eq!((numbers.len(), allocations), (3, 1));
    let before_and_after: Vec<_> = (0..10).collect();
    assert_eq!(counted(|| before_and_after.len()), (10, 0));
}

#[test]
fn single_buffers() -> Result<(), Box<dyn Error>> {
    Case::new(Shape::single(2048), 60).holds()
}

#[test]
fn chained_buffers() -> Result<(), Box<dyn Error>> {
    Case::new(Shape::chained(&[1, 11, 100, 1000, 1000]), 1514).holds()
}

#[test]
fn indirect_buffers() -> Result<(), Box<dyn Error>> {
    Case::new(Shape::indirect(&[12, 500, 500, 1000]), 1514).with(Features::INDIRECT_DESC).holds()
}

#[test]
fn merged_buffers() -> Result<(), Box<dyn Error>> {
    Case::new(Shape::single(256), 1514).with(Features::MRG_RXBUF).holds()
}

#[test]
fn merged_chains() -> Result<(), Box<dyn Error>> {
    Case::new(Shape::chained(&[100, 100]), 1514).with(Features::MRG_RXBUF).holds()
}

/// Of a burst of 48 frames, those beyond the buffers are dropped.
#[test]
fn dropping_the_newest() -> Result<(), Box<dyn Error>> {
    let case = Case::new(Shape::chained(&[1024, 1024]), 1514);
    Case { when_full: WhenFull::DropNewest, ..case }.holds()
}
