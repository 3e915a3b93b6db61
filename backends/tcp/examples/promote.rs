//! A VMM's datapath that promotes a TCP connection: bytes go from a host's socket straight into a guest's buffers.
//!
//! ```text
//! host --loopback--> socket --TcpSource--> RxWorkerSlot --ring--> guest (a thread)
//!                                 ^                                  |
//!                                 +--Connection::segment-- datapath <+
//! ```
//!
//! `cargo run --release -p netrx-tcp --example promote -- 1024` sends 1024 MiB; without a number, 64.

/// Hands a TCP connection over to a source, which reads the host's socket straight into the buffers of a guest (a thread).
#[cfg(supported)]
#[derive(clap::Parser)]
struct Args {
    /// How many MiB the host sends
    #[arg(default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    mib: u64,
}

#[cfg(supported)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Args { mib } = clap::Parser::parse();
    vmm::run(mib << 20)
}

#[cfg(not(supported))]
fn main() -> Result<(), &'static str> {
    Err("promoted connections are not served on this system")
}

#[cfg(supported)]
mod vmm {
    use std::error::Error;
    use std::io::{self, Write};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::mpsc::RecvTimeoutError;
    use std::thread;
    use std::time::{Duration, Instant};

    use netrx::{EngineConfig, Features, IrqId, RxConfig, RxWorkerSlot};
    use netrx_mock::{
        DriverConfig, FakeDriver, GuestThread, MockHypervisor, MockIrq, MockMemory, Refill, Rest, Shape,
        Taken,
    };
    use netrx_tcp::{Connection, Endpoint, Promotion, Segment, TcpSource};
    use smoltcp::wire::{EthernetFrame, Ipv4Packet, TcpPacket};

    /// The guest's receive window, and by how much it is shifted.
    const WINDOW: u32 = 1 << 20;
    const SCALE: u8 = 7;
    /// Where the guest's own numbers begin; it sends nothing.
    const GUEST_SEQ: u32 = 1;

    pub(super) fn run(bytes: u64) -> Result<(), Box<dyn Error>> {
        // The VMM builds its network card, and the guest's driver acknowledges what it can do.
        let offloads = Features::GUEST_CSUM | Features::GUEST_TSO4 | Features::MRG_RXBUF;
        let features = Features::VERSION_1 | Features::EVENT_IDX | offloads;
        let memory = MockMemory::heap(&[4 << 20]);
        let driver = FakeDriver::new(&memory, DriverConfig::new(256, features, Shape::single(4096)))?;
        let machine = MockHypervisor::new(memory.clone(), 1);
        let slot = Arc::new(RxWorkerSlot::new("vm0-rx"));
        slot.deposit_hypervisor(&machine, IrqId(0))?;
        let (line, interrupts) = MockIrq::new();
        slot.deposit_irq(line);
        let (source, promoter, ends) = TcpSource::new(1024)?;
        slot.offer_source(0, source);
        let engine = EngineConfig::default();
        slot.driver_ok(RxConfig { ring: driver.ring_config(), features, engine, restored: false })?;

        // The datapath has finished both handshakes: the host's by its socket, the guest's by frames of its own.
        let (socket, host) = connect(bytes)?;
        let connection = promoter.promote(promotion(socket))?;

        let mut guest = Guest { connection, next: 0 };
        let kicked = Arc::clone(&slot);
        let begin = Instant::now();
        let (kick, each) = (move || kicked.kick(), move |taken: &Taken| guest.take(taken));
        let guest = GuestThread::spawn(driver, interrupts.clone(), Refill::Eager, Rest::Sleeps, kick, each);

        // Without the guest, nobody would acknowledge anything any more.
        let ended = loop {
            match ends.recv_timeout(Duration::from_millis(100)) {
                Err(RecvTimeoutError::Timeout) if !guest.has_ended() => {}
                ended => break ended,
            }
        };
        let seconds = begin.elapsed().as_secs_f64();
        let report = guest.stop().ok_or("the guest panicked")?;
        if let Some(violation) = report.violation {
            return Err(format!("the guest was wronged: {violation}").into());
        }
        let ended = ended?;
        host.join().map_err(|_| "the host panicked")??;
        slot.stop()?;
        let mib = ended.counts.acknowledged as f64 / f64::from(1 << 20);
        let mut out = io::stdout();
        writeln!(out, "{:?}: {mib:.0} MiB in {seconds:.2} s, {:.0} MiB/s", ended.end, mib / seconds)?;
        writeln!(out, "{} frames, {} interrupts", report.frames, interrupts.raised())?;
        if ended.counts.acknowledged != bytes {
            let of = format!("{} of {bytes} bytes", ended.counts.acknowledged);
            return Err(format!("the connection ended after {of}: {:?}", ended.end).into());
        }
        Ok(())
    }

    /// The host's thread.
    type Host = thread::JoinHandle<io::Result<()>>;

    /// A connection to a host that sends so many bytes and ends.
    fn connect(bytes: u64) -> Result<(TcpStream, Host), Box<dyn Error>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let socket = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        let host = thread::spawn(move || {
            let piece = vec![0x5a; 256 << 10];
            let mut left = bytes;
            while left > 0 {
                let len = left.min(piece.len() as u64);
                far.write_all(piece.get(..len as usize).unwrap_or_default())?;
                left -= len;
            }
            far.shutdown(Shutdown::Write)
        });
        Ok((socket, host))
    }

    /// Where the connection stands after the handshakes.
    fn promotion(stream: TcpStream) -> Promotion {
        let end = |mac: u8, ip: [u8; 4], port| Endpoint {
            mac: [0x52, 0x54, 0, 0, 0, mac],
            addr: SocketAddr::from((ip, port)),
        };
        Promotion {
            stream,
            remote: end(1, [10, 0, 0, 1], 80),
            guest: end(2, [10, 0, 0, 2], 40_000),
            next: 0,
            window: WINDOW,
            scale: SCALE,
            mss: 1460,
            expected: GUEST_SEQ,
            receive_window: 64 << 10,
            receive_scale: 0,
        }
    }

    /// The TCP segment in an Ethernet frame.
    fn segment(frame: &[u8]) -> smoltcp::wire::Result<TcpPacket<&[u8]>> {
        let ip = Ipv4Packet::new_checked(EthernetFrame::new_checked(frame)?.payload())?;
        TcpPacket::new_checked(ip.payload())
    }

    /// The guest's stack, and the datapath's ear: acknowledges all that comes in order, and ends when the host has.
    struct Guest {
        connection: Connection,
        next: u32,
    }

    impl Guest {
        fn take(&mut self, taken: &Taken) {
            let Ok(tcp) = segment(&taken.frame) else { return };
            if tcp.seq_number().0.cast_unsigned() != self.next {
                return;
            }
            let (payload, fin) = (tcp.payload().len(), tcp.fin());
            self.next = self.next.wrapping_add(payload as u32 + u32::from(fin));
            let window = (WINDOW >> SCALE) as u16;
            let segment = Segment { seq: GUEST_SEQ, ack: self.next, window, fin, ..Segment::default() };
            // The connection may have ended: then there is nobody to tell.
            let _ = self.connection.segment(&segment);
            if fin {
                let _ = self.connection.received(GUEST_SEQ + 1, 64 << 10);
            }
        }
    }
}
