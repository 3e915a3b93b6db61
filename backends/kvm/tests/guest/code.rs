//! The guest's program, assembled with this one and found between two labels.

#![allow(unsafe_code, reason = "the assembler's labels")]

use std::arch::global_asm;

use super::{
    AVAIL, BUFFER_LEN, BUFFERS, CODE, COUNT, DESC, EVENT_IDX, FLAGS, HEADER, IRQ, LEVEL, SIZE, USED, port,
};

global_asm!(
    include_str!("guest.S"),
    size = const SIZE,
    desc = const DESC,
    avail = const AVAIL,
    used = const USED,
    buffers = const BUFFERS,
    buffer_len = const BUFFER_LEN,
    header = const HEADER,
    code = const CODE,
    stack = const CODE,
    flags = const FLAGS,
    level = const LEVEL,
    event_idx = const EVENT_IDX,
    count = const COUNT,
    seen = const COUNT + 4,
    irq = const IRQ.0,
    vector = const 0x20,
    port_ready = const port::READY,
    port_sum = const port::SUM,
    port_count = const port::COUNT,
    port_kick = const port::KICK,
    port_status = const port::STATUS,
    options(att_syntax)
);

// SAFETY: both are labels of the program above, and nothing writes there.
unsafe extern "C" {
    safe static netrx_guest_start: u8;
    safe static netrx_guest_end: u8;
}

/// The bytes of the program.
pub(super) fn program() -> &'static [u8] {
    let (start, end) = (&raw const netrx_guest_start, &raw const netrx_guest_end);
    // SAFETY: what lies between the labels is the program, constant and in one piece.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}
