//! A driver that nobody here wrote: rcore-os' `virtio-drivers`, over the registers of the card.
//!
//! It stores its index and then looks for the device's wish without a barrier between the two, as it does with its own wish and
//! the used index; a processor may swap them. So before it sleeps the test puts that barrier, and when it has slept for long
//! it kicks, and counts that.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use netrx::{Features, NetConfig};
use netrx_channel::ChannelSource;
use netrx_mock::{LevelProbe, MockLevel, traffic};
use virtio_drivers::device::net::{TxBuffer, VirtIONet};
use virtio_drivers::transport::InterruptStatus;

use super::Tested;
use super::forward::Forward;
use super::hal::{self, Bounce};
use super::rig::{Device, MAC};
use super::transport::Registers;

const QUEUE: usize = 64;
const BUFFER: usize = 2048;
/// One frame in so many is sent back.
const ECHO: u64 = 16;
/// Sleeps longer than this are ended by a kick.
const LONG: Duration = Duration::from_secs(1);

type Net = VirtIONet<Bounce, Registers, QUEUE>;

/// A card and what is around it.
struct Bench {
    device: Arc<Device>,
    probe: LevelProbe,
    forward: Forward,
    frames: Option<Sender<Vec<u8>>>,
    /// The number of the next frame.
    next: u64,
    sleeps: u64,
    long_sleeps: u64,
}

impl Bench {
    fn new(features: Features) -> Result<Self, Box<dyn std::error::Error>> {
        let (line, probe) = MockLevel::new();
        let forward = Forward::default();
        let config = NetConfig { features, ..NetConfig::new(MAC) };
        let device = Device::new("mmio-rcore", &config, hal::memory(), line, forward.clone())?;
        let (frames, receiver) = bounded(256);
        device.slot().offer_source(0, ChannelSource::new(receiver));
        let device = Arc::new(device);
        let frames = Some(frames);
        Ok(Self { device, probe, forward, frames, next: 0, sleeps: 0, long_sleeps: 0 })
    }

    fn bring_up(&self) -> Result<Net, virtio_drivers::Error> {
        let net = Net::new(Registers::probe(&self.device), BUFFER)?;
        assert_eq!(net.mac_address(), MAC);
        Ok(net)
    }

    /// Receives frames, in order and byte for byte, until number `until` is the next; sends some of them back.
    fn receive(&mut self, net: &mut Net, until: u64) -> Tested {
        while self.next < until {
            if !net.can_recv() {
                self.sleep(net);
                continue;
            }
            let buffer = net.receive()?;
            let frame = buffer.packet();
            assert_eq!(frame.len(), len(self.next), "frame {}", self.next);
            assert!(traffic::is_frame(self.next, frame), "frame {}", self.next);
            let echo = self.next.is_multiple_of(ECHO).then(|| frame.to_vec());
            net.recycle_rx_buffer(buffer)?;
            if let Some(frame) = echo {
                self.echo(net, &frame)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn echo(&self, net: &mut Net, frame: &[u8]) -> Tested {
        net.send(TxBuffer::from(frame))?;
        assert_eq!(self.forward.take(), [frame], "it is out by then");
        Ok(())
    }

    /// Acknowledges what came, and sleeps until the line is high, unless there is a frame.
    fn sleep(&mut self, net: &mut Net) {
        let why = net.ack_interrupt();
        assert!((why - InterruptStatus::QUEUE_INTERRUPT).is_empty(), "{:#x}", why.bits());
        fence(Ordering::SeqCst);
        if net.can_recv() {
            return;
        }
        self.sleeps += 1;
        if !self.probe.wait_high(LONG) {
            self.long_sleeps += 1;
            assert!(self.long_sleeps < 10, "interrupts or kicks are lost again and again");
            let kicked = self.device.write(0x50, &0_u32.to_le_bytes());
            assert!(kicked.is_ok(), "{kicked:?}");
        }
    }
}

/// Bytes of frame `number`.
fn len(number: u64) -> usize {
    const LENS: [usize; 8] = [60, 1514, 61, 1500, 14, 590, 22, 128];
    LENS[number as usize % LENS.len()]
}

/// Sends frames 0 to `count`, as fast as the card takes them.
fn flood(frames: &Sender<Vec<u8>>, from: u64, count: u64) -> bool {
    let mut frame = Vec::new();
    (from..from + count).all(|number| {
        traffic::make(number, len(number), &mut frame);
        frames.send(frame.clone()).is_ok()
    })
}

fn receives_and_sends(features: Features) -> Tested {
    const FRAMES: u64 = 100_000;
    let mut bench = Bench::new(features)?;
    let frames = bench.frames.take().ok_or("they are there")?;
    let sender = thread::spawn(move || flood(&frames, 0, FRAMES));
    let mut net = bench.bring_up()?;
    bench.receive(&mut net, FRAMES)?;
    assert!(matches!(sender.join(), Ok(true)));
    let sent = bench.forward.stats().ok_or("it is started")?;
    assert_eq!((sent.frames, sent.chains_bad), (FRAMES.div_ceil(ECHO), 0));
    let stats = bench.device.slot().reset()?.ok_or("the worker runs")?.stats;
    assert!(stats.is_balanced() && stats.frames_delivered == FRAMES && stats.chains_bad == 0, "{stats:?}");
    println!(
        "{features:?}: {} sleeps, {} of them long; {} interrupts, {} suppressed; the line rose {} times",
        bench.sleeps,
        bench.long_sleeps,
        stats.irqs_raised,
        stats.irqs_suppressed,
        bench.probe.rises()
    );
    drop(net);
    let [starts, kicks, stops] = bench.forward.calls();
    assert!((starts, stops) == (1, 1) && kicks >= sent.frames, "{kicks} kicks");
    Ok(())
}

#[test]
fn it_receives_and_sends_by_event_index() -> Tested {
    receives_and_sends(Features::EVENT_IDX | Features::INDIRECT_DESC)
}

#[test]
fn it_receives_and_sends_by_flags() -> Tested {
    receives_and_sends(Features::NONE)
}

/// Brought up, used, dropped; 100 times over the same card. Frames that come while there is no driver wait for the next.
#[test]
fn it_resets_and_starts_again() -> Tested {
    let mut bench = Bench::new(Features::EVENT_IDX | Features::INDIRECT_DESC)?;
    let frames = bench.frames.take().ok_or("they are there")?;
    for round in 1..=100 {
        assert!(flood(&frames, bench.next, 30));
        let mut net = bench.bring_up()?;
        let until = bench.next + 30;
        bench.receive(&mut net, until)?;
        assert!(flood(&frames, bench.next, 10));
        bench.receive(&mut net, until + 10)?;
        drop(net);
        assert!(bench.device.slot().stats().is_none() && !bench.probe.is_high());
        let [starts, _, stops] = bench.forward.calls();
        assert_eq!((starts, stops), (round, round));
    }
    assert_eq!(bench.next, 4000);
    Ok(())
}
