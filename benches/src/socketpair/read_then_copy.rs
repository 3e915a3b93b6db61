//! `recv` into a host buffer, then a copy into the guest's: the usual loop, with a ring as lean as a correct
//! one can be.
//!
//! avail.idx is read once per burst, each head, address, length and flag is checked, used.idx is published
//! once per burst, and one decision by EVENT_IDX follows: whatever this peer loses, it loses to its system
//! calls and its copy.

#![allow(unsafe_code, reason = "one system call per frame")]

use std::sync::atomic::{Ordering, fence};

use super::{Burst, Reader};
use crate::Result;
use crate::guest::{Driver, GPA_BASE, HEADER_LEN, passes_event, plain_header};
use crate::peer::Peer;
use crate::subject::Subject;

const F_WRITE: u16 = 2;

struct ReadThenCopy {
    driver: Driver,
    /// Header and frame, as they go into the guest.
    packet: Vec<u8>,
    used: u16,
}

/// Always there.
pub(super) fn subject(driver: Driver, longest: usize) -> Result<Option<Reader>> {
    let mut packet = vec![0; HEADER_LEN + longest];
    packet[..HEADER_LEN].copy_from_slice(&plain_header(1));
    Ok(Some(Box::new(ReadThenCopy { driver, packet, used: 0 })))
}

impl Subject<Burst> for ReadThenCopy {
    fn peer(&self) -> Peer {
        Peer::ReadThenCopy
    }

    fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    fn inject(&mut self, burst: &Burst) -> u32 {
        let old = self.used;
        let avail = self.driver.ram().load_u16(self.driver.layout().avail + 2);
        for _ in 0..burst.count.min(usize::from(avail.wrapping_sub(old))) {
            let Some(len) = self.read(burst) else { break };
            if !self.copy(len) {
                break;
            }
        }
        self.publish(old)
    }
}

impl ReadThenCopy {
    /// Reads the next frame behind the header; gives the length of both.
    fn read(&mut self, burst: &Burst) -> Option<usize> {
        let room = &mut self.packet[HEADER_LEN..];
        // SAFETY: the bytes are `room`'s.
        let got =
            unsafe { libc::recv(burst.socket, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
        Some(HEADER_LEN + usize::try_from(got).ok()?)
    }

    /// Copies the packet into the next buffer and stages its used entry; false when the buffer cannot take
    /// it.
    fn copy(&mut self, len: usize) -> bool {
        let (ram, layout) = (self.driver.ram(), self.driver.layout());
        let slot = u64::from(self.used % layout.shape.size);
        let mut head = [0; 2];
        ram.read(layout.avail + 4 + 2 * slot, &mut head);
        let head = u16::from_le_bytes(head);
        if head >= layout.shape.size {
            return false;
        }
        let mut desc = [0; 16];
        ram.read(layout.desc + 16 * u64::from(head), &mut desc);
        let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, f0, f1, _, _] = desc;
        let at = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let room = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let writable = u16::from_le_bytes([f0, f1]) & F_WRITE != 0;
        let inside = at.checked_sub(GPA_BASE).is_some_and(|off| off + len as u64 <= ram.len() as u64);
        if !writable || room < len || !inside {
            return false;
        }
        ram.write(at, &self.packet[..len]);
        let entry = u64::from(head) | (len as u64) << 32;
        ram.write(layout.used + 4 + 8 * slot, &entry.to_le_bytes());
        self.used = self.used.wrapping_add(1);
        true
    }

    /// Shows the guest all that was staged; the number of interrupts this would raise.
    fn publish(&self, old: u16) -> u32 {
        let (ram, layout) = (self.driver.ram(), self.driver.layout());
        ram.store_u16(layout.used + 2, self.used);
        fence(Ordering::SeqCst);
        u32::from(passes_event(ram.load_u16(layout.used_event()), self.used, old))
    }
}
