//! rust-vmm: `virtio-queue` over `vm-memory`, in its two idioms.
//!
//! `rust-vmm` writes header and frame by `write_slice` to the addresses of the chain it popped; `rust-vmm-writer` makes
//! the crate's own `Writer` of the chain. Both add a used entry per buffer and ask for a notification per burst.

#![allow(unsafe_code, reason = "its memory is made over the mapping all subjects have")]

use std::io::Write;

use virtio_queue::{DescriptorChain, Queue, QueueT};
use vm_memory::mmap::MmapRegion;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::{Driver, GPA_BASE, plain_header};
use crate::peer::Peer;
use crate::subject::{BURST, Subject};

type Memory = GuestMemoryMmap<()>;

/// How header and frame get into a chain; says how many bytes of the frame it took.
type Fill = fn(&Memory, DescriptorChain<&Memory>, &[u8], &[u8]) -> Result<usize>;

struct RustVmm {
    driver: Driver,
    memory: Memory,
    queue: Queue,
    spans: u16,
    peer: Peer,
    fill: Fill,
}

/// By `write_slice`: can do every case.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build(case, driver, Peer::RustVmm, write_slices)
}

/// By `Writer`: can do every case.
pub(super) fn writer_subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    build(case, driver, Peer::RustVmmWriter, use_writer)
}

fn build(case: &Case, driver: Driver, peer: Peer, fill: Fill) -> Result<Option<Injector>> {
    let (memory, queue) = (memory(&driver)?, queue(&driver)?);
    Ok(Some(Box::new(RustVmm { driver, memory, queue, spans: case.spans, peer, fill })))
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

impl Subject<Frames> for RustVmm {
    fn peer(&self) -> Peer {
        self.peer
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        let mut irqs = 0;
        for first in (0..frames.count()).step_by(BURST) {
            for at in first..frames.count().min(first + BURST) {
                if self.place(frames.at(at)).is_err() {
                    return irqs;
                }
            }
            irqs += u32::from(self.queue.needs_notification(&self.memory).unwrap_or(false));
        }
        irqs
    }
}

impl RustVmm {
    fn place(&mut self, frame: &[u8]) -> Result<()> {
        let header = plain_header(self.spans);
        let mut before: &[u8] = &header;
        let mut rest = frame;
        for _ in 0..self.spans {
            let chain = self.queue.pop_descriptor_chain(&self.memory).ok_or("the ring is empty")?;
            let head = chain.head_index();
            let taken = (self.fill)(&self.memory, chain, before, rest)?;
            self.queue.add_used(&self.memory, head, (before.len() + taken) as u32)?;
            (before, rest) = (&[], &rest[taken..]);
        }
        Ok(())
    }
}

fn write_slices(memory: &Memory, chain: DescriptorChain<&Memory>, header: &[u8], frame: &[u8]) -> Result<usize> {
    let mut before = header;
    let mut taken = 0;
    for desc in chain.writable() {
        let room = (desc.len() as usize).checked_sub(before.len()).ok_or("no room for the header")?;
        if !before.is_empty() {
            memory.write_slice(before, desc.addr())?;
        }
        let now = &frame[taken..frame.len().min(taken + room)];
        memory.write_slice(now, GuestAddress(desc.addr().0 + before.len() as u64))?;
        taken += now.len();
        before = &[];
        if taken == frame.len() {
            break;
        }
    }
    Ok(taken)
}

fn use_writer(memory: &Memory, chain: DescriptorChain<&Memory>, header: &[u8], frame: &[u8]) -> Result<usize> {
    let mut writer = chain.writer(memory)?;
    if !header.is_empty() {
        writer.write_all(header)?;
    }
    let now = &frame[..frame.len().min(writer.available_bytes())];
    writer.write_all(now)?;
    Ok(now.len())
}
