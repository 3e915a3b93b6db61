//! The suite of [`GuestMemory`].

use std::ops::Range;

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

/// Each place is written before any is read, with bytes of its own: no two of them are the same bytes of the host.
fn bytes_keep_their_place<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    let places = regions.iter().flat_map(|&(start, len)| {
        let apart = if len < 16 { vec![0] } else { vec![0, len / 2, len - 4] };
        apart.into_iter().map(move |offset| Gpa(start.0 + offset as u64))
    });
    let marked: Vec<(Gpa, [u8; 4])> = places.zip((0xa110_ca7e_u32..).map(u32::to_le_bytes)).collect();
    for (at, mark) in &marked {
        let wrote = Translator::new(memory).contiguous(*at, 4).map(|slice| slice.copy_from(mark));
        assert_eq!(wrote, Ok(4), "4 bytes at {at}");
    }
    for (at, mark) in &marked {
        let mut read = [0; 4];
        let done = Translator::new(memory).read(*at, &mut read);
        assert_eq!((done, &read), (Ok(()), mark), "4 bytes at {at}");
    }
}

fn nothing_lies_outside<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    let backed = |at: u64| spans(regions).any(|span| span.contains(&at));
    for &(start, len) in regions {
        for at in [start.0.wrapping_sub(1), start.0 + len as u64, u64::MAX] {
            assert!(backed(at) || memory.region(Gpa(at)).is_none(), "nothing backs {at:#x}");
        }
    }
}

fn runs_end_with_their_region<M: GuestMemory>((memory, regions): &(M, Vec<(Gpa, usize)>)) {
    for &(start, len) in regions {
        let last = Gpa(start.0 + len as u64 - 1);
        let run = Translator::new(memory).run(last, usize::MAX).map_or(0, |run| run.len() as u64);
        assert!(run > 0, "the last byte of the region at {start}");
        assert!(run <= known_from(regions, last), "{run} bytes from the last one of the region at {start}");
    }
}

/// How many bytes there are known to be from `at` on, over regions that follow each other.
fn known_from(regions: &[(Gpa, usize)], at: Gpa) -> u64 {
    let mut end = at.0;
    while let Some(span) = spans(regions).find(|span| span.contains(&end)) {
        end = span.end;
    }
    end - at.0
}

fn spans(regions: &[(Gpa, usize)]) -> impl Iterator<Item = Range<u64>> {
    regions.iter().map(|(start, len)| start.0..start.0 + *len as u64)
}
