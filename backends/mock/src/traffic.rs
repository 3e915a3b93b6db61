//! Numbered frames, each different from every other and checkable byte for byte.
//!
//! ```text
//! destination 6 | source 6 | 88 b5 | number 8, if there is room | words drawn from the number
//! ```

use netrx::spec::MIN_FRAME;

const HEAD: [u8; MIN_FRAME] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
const NUMBERED: usize = MIN_FRAME + 8;

/// Makes frame `number` of `len` bytes, in place of what `frame` holds. Shorter than 22 bytes, it has no room for its
/// number; shorter than 14, it is a runt.
pub fn make(number: u64, len: usize, frame: &mut Vec<u8>) {
    frame.clear();
    frame.reserve(len + 8);
    frame.extend_from_slice(&HEAD);
    frame.extend_from_slice(&number.to_le_bytes());
    let mut word = seed(number);
    while frame.len() < len {
        frame.extend_from_slice(&word.to_le_bytes());
        word = next(word);
    }
    frame.truncate(len);
}

/// Frame `number` of `len` bytes, as [`make`] makes it.
#[must_use]
pub fn frame(number: u64, len: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    make(number, len, &mut frame);
    frame
}

/// The number of a frame that [`make`] made, if all of its bytes are as they were made.
#[must_use]
pub fn number(frame: &[u8]) -> Option<u64> {
    let stamp = frame.get(MIN_FRAME..NUMBERED)?;
    let number = u64::from_le_bytes(stamp.try_into().ok()?);
    is_frame(number, frame).then_some(number)
}

/// Whether these bytes are frame `number`, at whatever length.
#[must_use]
pub fn is_frame(number: u64, frame: &[u8]) -> bool {
    let head = frame.len().min(NUMBERED);
    let mut expected = [0; NUMBERED];
    expected[..MIN_FRAME].copy_from_slice(&HEAD);
    expected[MIN_FRAME..].copy_from_slice(&number.to_le_bytes());
    let mut word = seed(number);
    frame[..head] == expected[..head]
        && frame[head..].chunks(8).all(|chunk| {
            let same = *chunk == word.to_le_bytes()[..chunk.len()];
            word = next(word);
            same
        })
}

fn seed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d
}

fn next(word: u64) -> u64 {
    word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_itself_and_no_other() {
        let mut frame = Vec::new();
        for len in [14, 21, 22, 23, 60, 1514] {
            make(7, len, &mut frame);
            assert_eq!(frame.len(), len);
            assert!(is_frame(7, &frame));
            assert_eq!(number(&frame), (len >= NUMBERED).then_some(7));
            assert!(len < NUMBERED || !is_frame(8, &frame));
            if let Some(last) = frame.last_mut() {
                *last ^= 1;
            }
            assert!(!is_frame(7, &frame), "one bit of {len} bytes differs");
        }
    }
}
