//! Arbitrary descriptors, in the queue's table and in indirect ones, one frame at a time.
//!
//! ```text
//! size 1 | features 1 | placing 1 | descriptors 1 + n * 6 | steps: head 1, length 2, ...
//! ```
//!
//! A descriptor is written in six bytes that mean something more often than sixteen would: an address by area, a
//! length, flags, and a successor. What the engine makes of it must be what the naive device makes of it, byte for
//! byte: so nothing is written but in buffers that were posted, and every chain comes back once.

use netrx::ring::{Cursor, RingConfig};
use netrx::{FrameMeta, Gpa};

use super::arena::{Arena, LONGEST, Raw, placing};
use super::input::Input;

/// Descriptors of the queue's table; behind them come those of the indirect tables.
const TABLE: u64 = 16;
const REGIONS: [usize; 2] = [8192, 1024];
/// Where the mock has its regions.
const FIRST: u64 = 0x4000_0000;
const SECOND: u64 = 0x5000_0000;
const AVAIL: u64 = FIRST + 0x400;
const USED: u64 = FIRST + 0x500;
const BUFFERS: u64 = 0x800;

thread_local! {
    static ARENA: Arena = Arena::new(&REGIONS);
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    ARENA.with(|arena| {
        let mut input = Input::new(input);
        let ring = RingConfig {
            size: 1 << (input.byte() % 5),
            desc: Gpa(FIRST),
            avail: Gpa(AVAIL),
            used: Gpa(USED),
            start: Cursor::default(),
        };
        let memory = arena.fresh();
        for at in [AVAIL, USED] {
            let _ = memory.slice(Gpa(at), 4).map(|words| words.copy_from(&[0; 4]));
        }
        let features = input.ring_features();
        let how = input.byte();
        if let Some(raw) = Raw::new(memory, ring, features, placing(how), how & 4 != 0) {
            steps(raw, input);
        }
    });
}

fn steps(mut raw: Raw, mut input: Input<'_>) {
    for index in 0..u64::from(input.byte() % 49) {
        let descriptor = descriptor(&mut input);
        raw.write(Gpa(FIRST + 16 * index), &descriptor);
    }
    for _ in 0..16 {
        if input.is_empty() {
            break;
        }
        raw.offer(extreme(input.byte()));
        raw.send(usize::from(input.word() % LONGEST), FrameMeta::PLAIN);
        raw.poll();
    }
    raw.finish();
}

fn descriptor(input: &mut Input<'_>) -> [u8; 16] {
    let (at, len, flags, next) = (input.word(), input.word(), input.byte(), input.byte());
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address(at).to_le_bytes());
    bytes[8..12].copy_from_slice(&length(len).to_le_bytes());
    let flags = if flags & 8 == 0 { u16::from(flags & 7) } else { u16::from(flags) << 8 | u16::from(flags) };
    bytes[12..14].copy_from_slice(&flags.to_le_bytes());
    bytes[14..].copy_from_slice(&extreme(next).to_le_bytes());
    bytes
}

/// A small number, or the largest.
fn extreme(code: u8) -> u16 {
    if code == u8::MAX { u16::MAX } else { u16::from(code % 64) }
}

/// Mostly in the buffers' area; sometimes at an end of a region, in the ring, in a table, or nowhere.
fn address(code: u16) -> u64 {
    let offset = u64::from(code & 0x0fff);
    match code >> 12 {
        0..8 => FIRST + BUFFERS + offset,
        8 | 9 => SECOND + offset % REGIONS[1] as u64,
        10 => FIRST + 16 * (TABLE + offset % 32),
        11 => FIRST + REGIONS[0] as u64 - offset % 64,
        12 => SECOND + REGIONS[1] as u64 - offset % 64,
        13 => FIRST + offset % BUFFERS,
        14 => u64::MAX - offset % 64,
        _ => offset,
    }
}

fn length(code: u16) -> u32 {
    let low = u32::from(code & 0x0fff);
    match code >> 12 {
        0..8 => low,
        8..12 => 16 * (low % 40),
        12 | 13 => low % 32,
        14 => u32::MAX - low % 32,
        _ => 0x8000_0000 | low,
    }
}
