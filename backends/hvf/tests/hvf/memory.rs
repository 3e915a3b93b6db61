//! What the guest sees of the memory, how long, and what the framework does not take.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use netrx::mem::RegionError;
use netrx::{Gpa, GuestMemory};
use netrx_hvf::{GuestMapping, HostMapping, HvCode, HvfError, HvfMemory};
use netrx_mock::MockMemory;
use rustix::param::page_size;

use crate::framework::Framework;
use crate::rig;

const HOST: usize = 1 << 32;
const START: Gpa = Gpa(0x4000_0000);

/// Regions of these starts, host addresses and lengths.
fn made_up(regions: &[(u64, usize, usize)]) -> Result<HvfMemory> {
    let regions = regions.iter().map(|&(start, at, len)| (Gpa(start), rig::made_up(at, len)));
    Ok(HvfMemory::new(regions)?)
}

#[test]
fn every_region_is_shown_until_the_mapping_is_dropped() -> Result<()> {
    let (framework, mock) = (Framework::new(), MockMemory::heap(&[1 << 16, 1 << 17]));
    let memory = rig::memory(&mock)?;
    ensure!(framework.mapped().is_empty(), "a table shows nothing");
    let shown = GuestMapping::map(&memory)?;
    ensure!(shown.len() == 2 && !shown.is_empty());
    let regions: Vec<_> = mock.regions().iter().map(|(start, len)| (start.0, *len)).collect();
    ensure!(framework.mapped() == regions);
    for (call, (start, len)) in framework.calls().iter().zip(regions) {
        let host = mock.slice(Gpa(start), len)?.as_ptr() as u64;
        ensure!(call.name == "hv_vm_map" && call.args == [host, start, len as u64, 7], "{call:?}");
    }
    drop(shown);
    ensure!(framework.mapped().is_empty() && framework.count("hv_vm_unmap") == 2);
    ensure!(memory.region(mock.regions()[0].0).is_some(), "the device still has it");
    Ok(())
}

#[test]
fn nothing_is_shown_of_memory_without_regions() -> Result<()> {
    let framework = Framework::new();
    ensure!(GuestMapping::map(&HvfMemory::new([])?)?.is_empty());
    ensure!(framework.calls().is_empty());
    Ok(())
}

#[test]
fn regions_that_overlap_or_are_empty_are_no_table() {
    let page = page_size();
    let overlap = made_up(&[(0, HOST, 2 * page), (page as u64, HOST, page)]);
    let error = overlap.err().and_then(|error| error.downcast().ok());
    assert!(matches!(error, Some(HvfError::Region(RegionError::Overlap { .. }))), "{error:?}");
    assert!(made_up(&[(0, HOST, 0)]).is_err());
    assert!(made_up(&[(u64::MAX, HOST, page)]).is_err());
}

#[test]
fn what_is_not_made_of_pages_is_refused_with_the_page_size() -> Result<()> {
    refuses_half_pages(&Framework::new(), page_size())
}

/// Whatever the host's own pages are: those of 16 KiB are Apple silicon's.
#[test]
fn the_page_size_is_the_systems() -> Result<()> {
    let framework = Framework::new();
    for page in [1 << 12, 1 << 14, 1 << 16] {
        framework.set_page(page);
        refuses_half_pages(&framework, page)?;
        let whole = [(START.0, HOST, page), (START.0 + 3 * page as u64, HOST + page, 5 * page)];
        let shown = GuestMapping::map(&made_up(&whole)?)?;
        ensure!(framework.mapped() == whole.map(|(start, _, len)| (start, len)), "{page:#x}");
        drop(shown);
    }
    Ok(())
}

/// The pages that a program was built for elsewhere are no whole ones here.
#[test]
fn pages_of_4_kib_are_refused_where_they_have_16() -> Result<()> {
    let (framework, page) = (Framework::new(), 1 << 14);
    framework.set_page(page);
    for off in [1 << 12, 2 << 12, 3 << 12] {
        for region in [(START.0 + off as u64, HOST, page), (START.0, HOST + off, page), (START.0, HOST, off)]
        {
            let refused = GuestMapping::map(&made_up(&[region])?);
            ensure!(
                matches!(refused, Err(HvfError::Misaligned { page: 0x4000, .. })),
                "{region:?}: {refused:?}"
            );
        }
    }
    Ok(())
}

fn refuses_half_pages(framework: &Framework, page: usize) -> Result<()> {
    let half = page / 2;
    let misaligned = [(half as u64, HOST, page), (0, HOST + half, page), (0, HOST, half), (1, HOST + 1, 1)];
    for region in misaligned {
        let refused = GuestMapping::map(&made_up(&[region])?);
        let Err(error @ HvfError::Misaligned { .. }) = refused else { bail!("{region:?}: {refused:?}") };
        let text = error.to_string();
        ensure!(
            text.contains(&format!("{page:#x}")) && text.contains("multiples of the page size"),
            "{text}"
        );
        let HvfError::Misaligned { start, host, len, page: told } = error else { continue };
        ensure!((start.0, host, len, told) == (region.0, region.1, region.2, page));
    }
    ensure!(framework.mapped().is_empty());
    Ok(())
}

#[test]
fn a_bad_argument_of_whole_pages_is_not_put_down_to_them() -> Result<()> {
    let (_framework, page) = (Framework::new(), page_size());
    let refused = GuestMapping::map(&made_up(&[(1 << 40, HOST, page)])?);
    ensure!(
        matches!(refused, Err(HvfError::Map { start: Gpa(0x100_0000_0000), code: HvCode::BadArgument, .. })),
        "the guest has no such address: {refused:?}"
    );
    Ok(())
}

#[test]
fn a_region_that_is_refused_is_named_and_those_before_it_are_taken_back() -> Result<()> {
    let (framework, page) = (Framework::new(), page_size());
    let first = GuestMapping::map(&made_up(&[(START.0 + page as u64, HOST, page)])?)?;
    let second = made_up(&[(0, HOST, page), (START.0, HOST, 2 * page)])?;
    let refused = GuestMapping::map(&second);
    ensure!(matches!(refused, Err(HvfError::Map { start: START, .. })), "{refused:?}");
    ensure!(framework.mapped() == [(START.0 + page as u64, page)], "only the first is left");
    drop(first);
    ensure!(GuestMapping::map(&second).is_ok(), "its place is free again");
    Ok(())
}

/// A mapping whose owner is watched.
fn watched() -> Result<(HvfMemory, Arc<()>)> {
    let owner = Arc::new(());
    let mock = MockMemory::heap(&[1 << 16]);
    let at = mock.slice(mock.regions()[0].0, 1)?.as_ptr() as usize;
    let mapping: HostMapping = rig::owned(at, 1 << 16, (mock, Arc::clone(&owner)));
    Ok((HvfMemory::new([(START, mapping)])?, owner))
}

#[test]
fn the_host_memory_lives_as_long_as_the_guest_or_a_device_may_reach_it() -> Result<()> {
    let (_framework, (memory, owner)) = (Framework::new(), watched()?);
    let (shown, device) = (GuestMapping::map(&memory)?, memory.clone());
    drop(memory);
    drop(device);
    ensure!(Arc::strong_count(&owner) == 2, "the guest sees it");
    drop(shown);
    ensure!(Arc::strong_count(&owner) == 1, "nobody does");
    let (memory, owner) = watched()?;
    drop(GuestMapping::map(&memory)?);
    ensure!(Arc::strong_count(&owner) == 2, "a device has it");
    Ok(())
}

#[test]
fn memory_that_the_guest_keeps_is_never_given_back() -> Result<()> {
    let (framework, (memory, owner)) = (Framework::new(), watched()?);
    let shown = GuestMapping::map(&memory)?;
    drop(memory);
    framework.fail("hv_vm_unmap", 0xfae9_4001, 1);
    drop(shown);
    ensure!(framework.mapped().len() == 1 && Arc::strong_count(&owner) == 2, "better lost than reused");
    Ok(())
}

#[test]
fn a_mapping_may_outlive_the_vm() -> Result<()> {
    let (framework, (memory, owner)) = (Framework::new(), watched()?);
    let shown = GuestMapping::map(&memory)?;
    rig::destroy_vm()?;
    drop((shown, memory));
    ensure!(framework.count("hv_vm_unmap") == 1 && Arc::strong_count(&owner) == 1, "it is given back");
    Ok(())
}
