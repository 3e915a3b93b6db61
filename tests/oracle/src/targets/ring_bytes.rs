//! Raw hostile memory: the input is the guest's memory, ring area and all, and what the guest does to it later.
//!
//! ```text
//! size 1 | features 1 | placing 1 | desc, avail, used 1 each | start 2 | bytes 2 + n | steps: what 1, ...
//! ```
//!
//! The three areas may overlap each other and the buffers. The engine must do what the naive device does, byte for
//! byte, until the ring makes no sense; from then on it must do nothing.

use netrx::ring::{Cursor, RingConfig};
use netrx::{FrameMeta, Gpa};

use super::arena::{Arena, LONGEST, Raw, placing};
use super::input::Input;

const REGIONS: [usize; 2] = [3072, 512];
/// Where the mock has its regions.
const FIRST: u64 = 0x4000_0000;
const SECOND: u64 = 0x5000_0000;

thread_local! {
    static ARENA: Arena = Arena::new(&REGIONS);
}

/// Plays an input.
pub(super) fn play(input: &[u8]) {
    ARENA.with(|arena| {
        let mut input = Input::new(input);
        let size = 1 << (input.byte() % 6);
        let (features, how) = (input.ring_features(), input.byte());
        let mut area = |unit: u64| Gpa(FIRST + unit * u64::from(input.byte()));
        let (desc, avail, used) = (area(16), area(8), area(8));
        let start = input.word();
        let start = Cursor { next_avail: start, next_used: start };
        let memory = arena.fresh();
        let len = usize::from(input.word());
        let bytes = input.take(len.min(REGIONS[0]));
        let _ = memory.slice(Gpa(FIRST), bytes.len()).map(|to| to.copy_from(bytes));
        let ring = RingConfig { size, desc, avail, used, start };
        if let Some(raw) = Raw::new(memory, ring, features, placing(how), how & 4 != 0) {
            steps(raw, input);
        }
    });
}

fn steps(mut raw: Raw, mut input: Input<'_>) {
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0 => write(&mut raw, FIRST, &mut input),
            1 => write(&mut raw, SECOND, &mut input),
            2 => bump(&mut raw, &mut input),
            3 => raw.offer(u16::from(input.byte())),
            4 | 5 => raw.send(usize::from(input.word() % LONGEST), FrameMeta::PLAIN),
            6 => raw.poll(),
            _ => {
                if !raw.restart() {
                    return;
                }
            }
        }
    }
    raw.finish();
}

/// The guest writes somewhere.
fn write(raw: &mut Raw, region: u64, input: &mut Input<'_>) {
    let at = u64::from(input.word() % REGIONS[0] as u16);
    let len = usize::from(input.byte() % 32);
    raw.write(Gpa(region + at), input.take(len));
}

/// The guest moves its index, without a thought for what it makes available.
fn bump(raw: &mut Raw, input: &mut Input<'_>) {
    let index = Gpa(raw.ring().avail.0 + 2);
    let moved = raw.word(index).wrapping_add(u16::from(input.byte()));
    raw.write(index, &moved.to_le_bytes());
}
