//! The guest of the second part: takes frames in rounds as Linux's driver does, and acknowledges each.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use netrx_hvf::Vcpus;
use netrx_tcp::{Endpoint, Promotion};

use super::load::{Acknowledge, Kick};
use super::vcpu::Vcpu;
use crate::Result;
use crate::guest::{Driver, HEADER_LEN};

/// The guest's receive window, by how much it is shifted, and where its own numbers begin.
pub(super) const WINDOW: u32 = 1 << 20;
pub(super) const SCALE: u8 = 7;
pub(super) const GUEST_SEQ: u32 = 1;
/// The guest's port of the first flow; the others follow.
pub(super) const PORT: u16 = 40_000;

const NAPI_BUDGET: usize = 64;
/// Ethernet, IPv4 and TCP headers.
const HEADERS: usize = 54;
/// Places in a buffer: the virtio-net header's count of buffers, and what is in the TCP header.
const BUFFERS_AT: usize = 10;
const PORT_AT: usize = HEADER_LEN + 36;
const SEQ_AT: usize = HEADER_LEN + 38;

/// Flow `number` as it stands after the handshakes.
pub(super) fn promotion(stream: TcpStream, number: u16) -> Promotion {
    let end = |mac: u8, ip: [u8; 4], port| Endpoint {
        mac: [0x52, 0x54, 0, 0, 0, mac],
        addr: SocketAddr::from((ip, port)),
    };
    Promotion {
        stream,
        remote: end(1, [10, 0, 0, 1], 80),
        guest: end(2, [10, 0, 0, 2], PORT + number),
        next: 0,
        window: WINDOW,
        scale: SCALE,
        mss: super::MSS,
        expected: GUEST_SEQ,
        receive_window: 65_535,
        receive_scale: 0,
    }
}

/// The driver and the stack, on a thread of their own.
pub(super) struct Guest {
    pub(super) driver: Driver,
    pub(super) kick: Kick,
    pub(super) acknowledge: Acknowledge,
    /// The next byte of each flow.
    pub(super) next: Vec<u32>,
    /// Payload bytes taken, and to take.
    pub(super) received: u64,
    pub(super) total: u64,
    /// Buffers of the frame at hand that are still to come, and its flow, if it is a flow's.
    rest: (u16, Option<usize>),
}

impl Guest {
    pub(super) fn new(
        driver: Driver,
        kick: Kick,
        acknowledge: Acknowledge,
        flows: usize,
        total: u64,
    ) -> Self {
        Self { driver, kick, acknowledge, next: vec![0; flows], received: 0, total, rest: (0, None) }
    }

    /// Polls and sleeps until all bytes have come, or `given_up`.
    pub(super) fn run(mut self, vcpus: &Vcpus, given_up: &AtomicBool) -> Result<()> {
        let mut vcpu = Vcpu::join(vcpus)?;
        while self.received < self.total {
            if given_up.load(Ordering::Acquire) {
                return Err(format!("{} of {} bytes came", self.received, self.total).into());
            }
            vcpu.run(|| self.poll_until_armed())?;
        }
        Ok(())
    }

    /// Polls until there is nothing, and the next frame will interrupt; whether there are more to wait for.
    fn poll_until_armed(&mut self) -> Result<bool> {
        while self.poll()? == NAPI_BUDGET || self.driver.arm() {}
        Ok(self.received < self.total)
    }

    /// One round of NAPI: takes buffers up to the budget, and posts them again.
    fn poll(&mut self) -> Result<usize> {
        let mut taken = 0;
        while taken < NAPI_BUDGET
            && let Some(used) = self.driver.take()
        {
            self.look_at(used.head, used.len)?;
            self.driver.put(used.head);
            taken += 1;
        }
        if taken > 0 && self.driver.publish() {
            (self.kick)();
        }
        Ok(taken)
    }

    fn look_at(&mut self, head: u16, len: u32) -> Result<()> {
        let payload = if self.rest.0 == 0 { self.begin(head, len)? } else { len };
        self.rest.0 -= 1;
        let Some(flow) = self.rest.1 else { return Ok(()) };
        self.received += u64::from(payload);
        self.next[flow] = self.next[flow].wrapping_add(payload);
        if self.rest.0 == 0 {
            (self.acknowledge)(flow, self.next[flow]);
        }
        Ok(())
    }

    /// A frame's first buffer; how many bytes of payload are in it.
    fn begin(&mut self, head: u16, len: u32) -> Result<u32> {
        let mut bytes = [0; HEADER_LEN + HEADERS];
        self.driver.ram().read(self.driver.layout().buffer(head), &mut bytes);
        let buffers = u16::from_le_bytes([bytes[BUFFERS_AT], bytes[BUFFERS_AT + 1]]);
        let port = u16::from_be_bytes([bytes[PORT_AT], bytes[PORT_AT + 1]]);
        let seq = u32::from_be_bytes(std::array::from_fn(|at| bytes[SEQ_AT + at]));
        let flow = usize::from(port.wrapping_sub(PORT));
        let Some(next) = self.next.get(flow) else { return Err(format!("a frame for port {port}").into()) };
        // What is sent again is not counted again.
        self.rest = (buffers.max(1), (*next == seq).then_some(flow));
        Ok(len.saturating_sub((HEADER_LEN + HEADERS) as u32))
    }
}
