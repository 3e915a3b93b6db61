//! The floor: header and frame copied into the same buffers, with no ring, no check and no interrupt.

#![allow(unsafe_code, reason = "the bare copy is what is measured")]

use super::{Case, Frames, Injector};
use crate::Result;
use crate::guest::{Driver, HEADER_LEN, plain_header};
use crate::peer::Peer;
use crate::subject::Subject;

/// Copies into buffers whose addresses it was told beforehand.
struct Floor {
    driver: Driver,
    header: [u8; HEADER_LEN],
    buffers: Vec<*mut u8>,
    piece: usize,
    pieces_per_frame: usize,
}

/// Can do every case.
pub(super) fn subject(case: &Case, driver: Driver) -> Result<Option<Injector>> {
    let piece = case.shape.piece as usize;
    let address = |at| driver.ram().host(driver.layout().buffer(at), piece);
    Ok(Some(Box::new(Floor {
        header: plain_header(case.spans),
        buffers: (0..case.shape.size).map(address).collect(),
        piece,
        pieces_per_frame: usize::from(case.spans * case.shape.chain),
        driver,
    })))
}

impl Subject<Frames> for Floor {
    fn peer(&self) -> Peer {
        Peer::Floor
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, frames: &Frames) -> u32 {
        if self.pieces_per_frame == 1 {
            self.copy_whole(frames);
        } else {
            self.copy_pieces(frames);
        }
        0
    }
}

impl Floor {
    fn copy_whole(&self, frames: &Frames) {
        for (at, &to) in self.buffers[..frames.count()].iter().enumerate() {
            let frame = frames.at(at);
            // SAFETY: the buffer was checked to hold `piece` bytes, which the case makes enough for both.
            unsafe {
                std::ptr::copy_nonoverlapping(self.header.as_ptr(), to, HEADER_LEN);
                std::ptr::copy_nonoverlapping(frame.as_ptr(), to.add(HEADER_LEN), frame.len());
            }
        }
    }

    fn copy_pieces(&self, frames: &Frames) {
        for (at, pieces) in self.buffers.chunks_exact(self.pieces_per_frame).enumerate() {
            let mut rest = frames.at(at);
            let mut used = HEADER_LEN;
            // SAFETY: every buffer was checked to hold `piece` bytes, and a header is shorter than that.
            unsafe { std::ptr::copy_nonoverlapping(self.header.as_ptr(), pieces[0], HEADER_LEN) };
            for &to in pieces {
                let (now, later) = rest.split_at(rest.len().min(self.piece - used));
                // SAFETY: `used` plus the length of `now` is at most `piece`.
                unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), to.add(used), now.len()) };
                (rest, used) = (later, 0);
            }
        }
    }
}
