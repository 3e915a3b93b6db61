//! A guest that owns a receive ring, in 16-bit real mode: its program is `guest.S`, this is what the host must know of it.
//!
//! ```text
//! 0x500 flags  0x600 count  0x1000 code  0x2000 descriptors, available ring, used ring  |  0x80000 buffers
//! <----------------------------- first region ---------------------------------------> | <-- second region -->
//! ```

mod code;

use anyhow::{Context, Result};
use kvm_ioctls::{VcpuExit, VcpuFd};
use netrx::ring::{Cursor, RingConfig};
use netrx::{Features, Gpa, IrqId};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// The line of its device: the first PIC's pin.
pub(crate) const IRQ: IrqId = IrqId(5);
/// Its buffers, each of one descriptor.
const SIZE: u16 = 64;

const CODE: u64 = 0x1000;
/// What it is told.
const FLAGS: u64 = 0x500;
const LEVEL: u8 = 1;
const EVENT_IDX: u8 = 2;
/// How many frames it has seen.
const COUNT: u64 = 0x600;
const DESC: u64 = 0x2000;
const AVAIL: u64 = 0x2800;
const USED: u64 = 0x3000;
const BUFFERS: u64 = 0x8_0000;
const BUFFER_LEN: u64 = 2048;
const HEADER: usize = 12;

/// Where it writes and reads.
pub(crate) mod port {
    /// The ring is set up: `DRIVER_OK`.
    pub(crate) const READY: u16 = 0x510;
    /// A frame's sum, 32 bits.
    pub(crate) const SUM: u16 = 0x520;
    /// How many frames it has seen, at the end of each interrupt, 32 bits.
    pub(crate) const COUNT: u16 = 0x530;
    /// `QueueNotify`, 16 bits.
    pub(crate) const KICK: u16 = 0x540;
    /// The interrupt status, which reading clears, 8 bits.
    pub(crate) const STATUS: u16 = 0x550;
}

/// What it asks of the host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call<'v> {
    /// The driver is ready.
    Ready,
    /// The sum of the next frame.
    Sum(u32),
    /// All frames so far, at the end of an interrupt.
    Count(u32),
    /// New buffers, where no doorbell takes this.
    Kick,
    /// The interrupt status is read, into this byte.
    Status(&'v mut u8),
}

/// What the guest is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    /// Its interrupt is level-triggered.
    pub(crate) level: bool,
    /// It acknowledges the feature.
    pub(crate) event_idx: bool,
}

impl Guest {
    /// The guest's memory, in two regions, with its program.
    pub(crate) fn memory(self) -> Result<GuestMemoryMmap> {
        let regions = [(GuestAddress(0), BUFFERS as usize), (GuestAddress(BUFFERS), 0x2_0000)];
        let memory = GuestMemoryMmap::from_ranges(&regions)?;
        let flags = u8::from(self.level) * LEVEL + u8::from(self.event_idx) * EVENT_IDX;
        memory.write_obj(flags, GuestAddress(FLAGS))?;
        memory.write_slice(code::program(), GuestAddress(CODE))?;
        Ok(memory)
    }

    /// The features that its driver acknowledges.
    pub(crate) fn features(self) -> Features {
        if self.event_idx { Features::VERSION_1 | Features::EVENT_IDX } else { Features::VERSION_1 }
    }

    /// The queue's registers, as its driver sets them.
    pub(crate) fn ring(self) -> RingConfig {
        RingConfig {
            size: SIZE,
            desc: Gpa(DESC),
            avail: Gpa(AVAIL),
            used: Gpa(USED),
            start: Cursor::default(),
        }
    }
}

/// Puts a vCPU at the start of the program.
pub(crate) fn enter(vcpu: &VcpuFd) -> Result<()> {
    let mut segments = vcpu.get_sregs()?;
    (segments.cs.base, segments.cs.selector) = (0, 0);
    vcpu.set_sregs(&segments)?;
    let mut registers = vcpu.get_regs()?;
    (registers.rip, registers.rflags) = (CODE, 2);
    Ok(vcpu.set_regs(&registers)?)
}

/// What an exit asks for.
pub(crate) fn call(exit: VcpuExit<'_>) -> Result<Call<'_>> {
    let word = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).context("32 bits are written there");
    Ok(match exit {
        VcpuExit::IoOut(port::READY, _) => Call::Ready,
        VcpuExit::IoOut(port::SUM, sum) => Call::Sum(word(sum)?),
        VcpuExit::IoOut(port::COUNT, count) => Call::Count(word(count)?),
        VcpuExit::IoOut(port::KICK, _) => Call::Kick,
        VcpuExit::IoIn(port::STATUS, status) => Call::Status(status.first_mut().context("8 bits are read")?),
        other => anyhow::bail!("the guest went astray: {other:?}"),
    })
}

/// The sum that the guest makes of a frame.
pub(crate) fn sum(frame: &[u8]) -> u32 {
    frame.iter().fold(0, |sum: u32, byte| sum.rotate_left(1).wrapping_add(u32::from(*byte)))
}
