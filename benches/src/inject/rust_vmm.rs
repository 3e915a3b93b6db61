//! rust-vmm: `virtio-queue` over `vm-memory`, in its two idioms.
//!
//! `rust-vmm` resolves each descriptor of the chain it popped by one `get_slice` and copies into that
//! (`write_slice` for header and frame, which resolves twice, was seen to take a fifth longer);
//! `rust-vmm-writer` makes the crate's own `Writer` of the chain. Both add a used entry per buffer and ask for
//! a notification per burst.

#![allow(unsafe_code, reason = "its memory is made over the mapping all subjects have")]

use std::io::Write;
use std::marker::PhantomData;

use virtio_queue::{DescriptorChain, Queue, QueueT};
use vm_memory::mmap::MmapRegion;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestRegionMmap};

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::{Driver, GPA_BASE, plain_header};
use crate::peer::Peer;
use crate::subject::{BURST, Subject};

type Memory = GuestMemoryMmap<()>;

/// How header and frame get into a chain.
trait Fill: 'static {
    const PEER: Peer;

    /// Writes what there is room for; says how many bytes of the frame that was, or nothing if it failed.
    fn fill(memory: &Memory, chain: DescriptorChain<&Memory>, header: &[u8], frame: &[u8]) -> Option<usize>;
}

struct GetSlice;
struct UseWriter;

struct RustVmm<F> {
    driver: Driver,
    memory: Memory,
    queue: Queue,
    spans: u16,
    fill: PhantomData<F>,
}

/// By `get_slice`: can do every case.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build::<GetSlice>(case, driver)
}

/// By `Writer`: can do every case.
pub(super) fn writer_subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build::<UseWriter>(case, driver)
}

fn build<F: Fill>(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    let (memory, queue) = (memory(&driver)?, queue(&driver)?);
    Ok(Some(Box::new(RustVmm { driver, memory, queue, spans: case.spans, fill: PhantomData::<F> })))
}

fn memory(driver: &Driver) -> Result<Memory> {
    let ram = driver.ram();
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the mapping is `len` bytes long, of whole pages, and outlives this view, which lies beside the driver.
    let region = unsafe { MmapRegion::build_raw(ram.host(GPA_BASE, ram.len()), ram.len(), prot, flags)? };
    let region = GuestRegionMmap::new(region, GuestAddress(GPA_BASE)).ok_or("region out of range")?;
    Ok(Memory::from_regions(vec![region])?)
}

fn queue(driver: &Driver) -> Result<Queue> {
    let layout = driver.layout();
    let mut queue = Queue::new(layout.shape.size)?;
    queue.try_set_desc_table_address(GuestAddress(layout.desc))?;
    queue.try_set_avail_ring_address(GuestAddress(layout.avail))?;
    queue.try_set_used_ring_address(GuestAddress(layout.used))?;
    queue.set_event_idx(true);
    queue.set_ready(true);
    Ok(queue)
}

impl<F: Fill> Subject<Frames> for RustVmm<F> {
    fn peer(&self) -> Peer {
        F::PEER
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        let mut irqs = 0;
        for first in (0..frames.count()).step_by(BURST) {
            for at in first..frames.count().min(first + BURST) {
                if self.place(frames.at(at)).is_none() {
                    return irqs;
                }
            }
            irqs += u32::from(self.queue.needs_notification(&self.memory).unwrap_or(false));
        }
        irqs
    }
}

impl<F: Fill> RustVmm<F> {
    fn place(&mut self, frame: &[u8]) -> Option<()> {
        let header = plain_header(self.spans);
        let mut before: &[u8] = &header;
        let mut rest = frame;
        for _ in 0..self.spans {
            let chain = self.queue.pop_descriptor_chain(&self.memory)?;
            let head = chain.head_index();
            let taken = F::fill(&self.memory, chain, before, rest)?;
            self.queue.add_used(&self.memory, head, (before.len() + taken) as u32).ok()?;
            (before, rest) = (&[], &rest[taken..]);
        }
        Some(())
    }
}

impl Fill for GetSlice {
    const PEER: Peer = Peer::RustVmm;

    fn fill(memory: &Memory, chain: DescriptorChain<&Memory>, header: &[u8], frame: &[u8]) -> Option<usize> {
        let mut before = header;
        let mut taken = 0;
        for desc in chain.writable() {
            let buffer = memory.get_slice(desc.addr(), desc.len() as usize).ok()?;
            buffer.copy_from(before);
            let room = buffer.offset(before.len()).ok()?;
            let now = &frame[taken..frame.len().min(taken + room.len())];
            room.copy_from(now);
            taken += now.len();
            before = &[];
            if taken == frame.len() {
                break;
            }
        }
        Some(taken)
    }
}

impl Fill for UseWriter {
    const PEER: Peer = Peer::RustVmmWriter;

    fn fill(memory: &Memory, chain: DescriptorChain<&Memory>, header: &[u8], frame: &[u8]) -> Option<usize> {
        let mut writer = chain.writer(memory).ok()?;
        if !header.is_empty() {
            writer.write_all(header).ok()?;
        }
        let now = &frame[..frame.len().min(writer.available_bytes())];
        writer.write_all(now).ok()?;
        Some(now.len())
    }
}
