//! The predecessor's worker, with its inline connections. It sends whatever the guest's window is, so nothing is
//! acknowledged to it.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::Builder;

use arcbox_net_inject::inject::RxInjectThread;
use arcbox_net_inject::inline_conn::InlineConn;
use arcbox_net_inject::irq::IrqHandle;

use super::guest::{GUEST_SEQ, PORT};
use super::load::{Line, Load};
use crate::Result;
use crate::guest::Driver;
use crate::inject::predecessor_parts;

/// Starts it as its product does.
pub(super) fn start(driver: &Driver, line: Line, streams: Vec<TcpStream>) -> Result<Load> {
    let (frames, rx) = crossbeam_channel::bounded(1);
    let (connections, conn_rx) = crossbeam_channel::unbounded();
    let (guest_mem, queue) = predecessor_parts(driver);
    let running = Arc::new(AtomicBool::new(true));
    let Line { irq, vcpus } = line;
    let raise = move |_, _| {
        irq.raise();
        Ok(())
    };
    // Its product hands each request to the hypervisor. Here the registry wakes the vCPU, and the requests are counted.
    let exits = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&exits);
    let exit_vcpus = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        // A vCPU that was not woken shows as bytes that do not come.
        let _ = vcpus.exit();
    };
    let body = RxInjectThread {
        rx,
        conn_rx,
        guest_mem,
        queue,
        irq: IrqHandle { callback: Arc::new(raise), exit_vcpus: Arc::new(exit_vcpus), irq: 1 },
        set_interrupt_status: Arc::new(|| {}),
        running: Arc::clone(&running),
        event_idx_enabled: true,
    };
    for (number, stream) in (0..).zip(streams) {
        connections.send(connection(stream, number)?)?;
    }
    let ram = Arc::clone(driver.ram());
    let thread = Builder::new().name("rx-inject".into()).spawn(move || body.run())?;
    let stop = move || {
        running.store(false, Ordering::Release);
        drop((frames, connections));
        let joined = thread.join();
        // The guest's memory was mapped for as long as the thread ran.
        drop(ram);
        joined.map_err(|_| "the predecessor's thread panicked")?;
        Ok(exits.load(Ordering::Relaxed))
    };
    Ok(Load { kick: Box::new(|| {}), acknowledge: Box::new(|_, _| {}), stop: Box::new(stop) })
}

fn connection(stream: TcpStream, number: u16) -> Result<InlineConn> {
    stream.set_nonblocking(true)?;
    Ok(InlineConn {
        stream,
        remote_ip: Ipv4Addr::new(10, 0, 0, 1),
        guest_ip: Ipv4Addr::new(10, 0, 0, 2),
        remote_port: 80,
        guest_port: PORT + number,
        our_seq: Arc::new(AtomicU32::new(0)),
        last_ack: Arc::new(AtomicU32::new(GUEST_SEQ)),
        gw_mac: [0x52, 0x54, 0, 0, 0, 1],
        guest_mac: [0x52, 0x54, 0, 0, 0, 2],
        host_eof: false,
    })
}
