//! The suite of [`GuestMemory`].

use netrx::mem::Translator;
use netrx::{Gpa, GuestMemory};

/// Runs the suite: `make` gives the memory, and the regions that it is known to have.
pub fn memory<M: GuestMemory>(make: impl Fn() -> (M, Vec<(Gpa, usize)>)) {
    regions_are_found_whole(&make());
    bytes_keep_their_place(&make());
    nothing_lies_outside(&make());
    runs_end_with_their_region(&make());
}

fn regions_are_found_whole<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    for &(start, len) in regions {
        for offset in [0, 1, len / 2, len - 1] {
            let at = Gpa(start.0 + offset as u64);
            let found = memory.region(at);
            assert!(found.is_some(), "{at} is in a region of {len} bytes at {start}");
            let inside = found.map(|region| (region.start.0 <= at.0, region.host.len() as u64));
            let covers = inside.is_some_and(|(before, length)| {
                before && found.is_some_and(|region| at.0 - region.start.0 < length)
            });
            assert!(covers, "the region found for {at} does not hold it");
        }
    }
}

fn bytes_keep_their_place<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    for &(start, len) in regions {
        for offset in [0, len / 2, len - 4] {
            let at = Gpa(start.0 + offset as u64);
            let mut translator = Translator::new(memory);
            let wrote = translator.contiguous(at, 4).map(|slice| slice.copy_from(b"rx-0"));
            assert_eq!(wrote, Ok(4), "4 bytes at {at}");
            let mut read = [0; 4];
            let done = Translator::new(memory).read(at, &mut read);
            assert_eq!((done, &read), (Ok(()), b"rx-0"), "4 bytes at {at}");
        }
    }
}

fn nothing_lies_outside<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    let backed = |at: u64| regions.iter().any(|(start, len)| (start.0..start.0 + *len as u64).contains(&at));
    for &(start, len) in regions {
        for at in [start.0.wrapping_sub(1), start.0 + len as u64, u64::MAX] {
            assert!(backed(at) || memory.region(Gpa(at)).is_none(), "nothing backs {at:#x}");
        }
    }
}

fn runs_end_with_their_region<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    for &(start, len) in regions {
        let last = Gpa(start.0 + len as u64 - 1);
        let run = Translator::new(memory).run(last, usize::MAX);
        assert!(run.is_ok_and(|run| !run.is_empty()), "the last byte of the region at {start}");
    }
}
