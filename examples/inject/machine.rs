//! The mock machine: memory, a driver whose buffers hold every frame, and an interrupt line that takes notes.

use anyhow::{Context, Result, ensure};
use netrx::{Features, Hypervisor, IrqId};
use netrx_mock::{DriverConfig, FakeDriver, IrqProbe, MockHypervisor, MockMemory, Shape};

use crate::args::Plan;
use crate::irq::{NotedLine, Raises};

/// The line of the receive queue; the machine has no other.
const IRQ: IrqId = IrqId(0);
/// Bytes before each frame: the virtio-net header of a driver that knows virtio 1.0.
const HEADER: usize = 12;
/// Bytes of a buffer that is merged with others.
const MERGED: usize = 4096;
/// Bytes that the driver leaves free between two buffers, at most.
const GAP: usize = 64;
/// The most memory that a machine is given, in bytes.
const MOST_MEMORY: usize = 1 << 30;

/// What the worker and the guest need of the machine.
pub(crate) struct Machine {
    pub(crate) memory: MockMemory,
    pub(crate) driver: FakeDriver,
    pub(crate) line: NotedLine,
    pub(crate) probe: IrqProbe,
    pub(crate) raises: Raises,
    /// Bytes in each of the guest's buffers.
    pub(crate) buffer: usize,
}

impl Machine {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let buffer = buffer(plan.ring, plan.mrg, plan.traffic.longest());
        let hypervisor = MockHypervisor::new(MockMemory::heap(&[memory(plan.ring, buffer)]), 1);
        let memory = hypervisor.memory();
        let shape = Shape::single(u32::try_from(buffer)?);
        let driver = FakeDriver::new(&memory, DriverConfig::new(plan.ring, features(plan.mrg), shape))?;
        let probe = hypervisor.probe(IRQ).context("the machine has an interrupt line")?.clone();
        let raises = Raises::default();
        let line = hypervisor.irq_line(IRQ)?;
        let line = NotedLine::new(line, memory.clone(), driver.ring_config().used, raises.clone());
        Ok(Self { memory, driver, line, probe, raises, buffer })
    }
}

/// Whether a machine for frames of up to `longest` bytes is of a reasonable size.
pub(crate) fn check_memory(ring: u16, mrg: bool, longest: usize) -> Result<()> {
    let buffer = buffer(ring, mrg, longest);
    ensure!(
        memory(ring, buffer) <= MOST_MEMORY,
        "--ring {ring} with buffers of {buffer} bytes needs more than 1 GiB of guest memory: add --mrg, or take a smaller \
         ring"
    );
    Ok(())
}

fn features(mrg: bool) -> Features {
    let features = Features::VERSION_1 | Features::EVENT_IDX;
    if mrg { features | Features::MRG_RXBUF } else { features }
}

/// Bytes of each buffer: so many that the longest frame fits into one, or where they are merged, into a whole ring.
fn buffer(ring: u16, mrg: bool, longest: usize) -> usize {
    let frame = HEADER + longest;
    let buffer = if mrg { frame.div_ceil(ring.into()).max(MERGED) } else { frame };
    buffer.next_multiple_of(64)
}

/// Bytes of memory for the buffers and, with room to spare, for the three parts of the ring.
fn memory(ring: u16, buffer: usize) -> usize {
    (usize::from(ring) * (buffer + GAP + 32) + 4096).next_multiple_of(4096)
}
