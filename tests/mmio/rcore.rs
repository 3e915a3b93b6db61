//! A driver that nobody here wrote: rcore-os' `virtio-drivers`, over the registers of the card.
//!
//! It stores its wish and then looks at the used index without a barrier between the two, as it does with its own index and
//! the device's wish; a processor may swap them. So before it sleeps the test puts that barrier, looks at both again, and
//! makes up for a kick that was forgotten. There is no excuse left then: the next frame has to end the sleep.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use netrx::spec::mmio::Register;
use netrx::{Features, NetConfig};
use netrx_channel::ChannelSource;
use netrx_mock::{LevelProbe, MockLevel, traffic};
use virtio_drivers::device::net::{TxBuffer, VirtIONet};
use virtio_drivers::transport::InterruptStatus;

use super::forward::Forward;
use super::hal::{self, Bounce};
use super::lossy::{Loss, Lossy};
use super::owed::Watch;
use super::rig::{Device, MAC, RECEIVE};
use super::transport::Registers;
use super::{STUCK, Tested, eventually};

const QUEUE: usize = 64;
const BUFFER: usize = 2048;
/// One frame in so many is sent back.
const ECHO: u64 = 16;

/// What a sleep ends with that an interrupt should have ended.
const LOST: &str = "there are frames, and the sleeping driver is not told: an interrupt is lost";

type Net = VirtIONet<Bounce, Registers, QUEUE>;

/// A card and what is around it.
struct Bench {
    device: Arc<Device>,
    probe: LevelProbe,
    loss: Loss,
    watch: Watch,
    by_event_index: bool,
    forward: Forward,
    frames: Option<Sender<Vec<u8>>>,
    /// The number of the next frame.
    next: u64,
    sleeps: u64,
    /// Kicks that the driver forgot.
    forgotten: u64,
}

impl Bench {
    fn new(features: Features) -> Result<Self, Box<dyn std::error::Error>> {
        let (line, probe) = MockLevel::new();
        let (loss, watch, forward) = (Loss::default(), Watch::default(), Forward::default());
        let line = Lossy::new(line, &loss);
        let config = NetConfig { features, ..NetConfig::new(MAC) };
        let device = Device::new("mmio-rcore", &config, hal::memory(), line, forward.clone())?;
        let (frames, receiver) = bounded(256);
        device.slot().offer_source(0, ChannelSource::new(receiver));
        let device = Arc::new(device);
        let (frames, by_event_index) = (Some(frames), features.has(Features::EVENT_IDX));
        let (next, sleeps, forgotten) = (0, 0, 0);
        Ok(Self { device, probe, loss, watch, by_event_index, forward, frames, next, sleeps, forgotten })
    }

    fn bring_up(&self) -> Result<Net, virtio_drivers::Error> {
        let net = Net::new(Registers::probe(&self.device, &self.watch), BUFFER)?;
        assert_eq!(net.mac_address(), MAC);
        Ok(net)
    }

    /// Receives frames, in order and byte for byte, until number `until` is the next; sends some of them back.
    fn receive(&mut self, net: &mut Net, until: u64) -> Tested {
        while self.next < until {
            if !net.can_recv() {
                if self.may_sleep(net) {
                    self.sleeps += 1;
                    self.sleep(net, STUCK)?;
                }
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

    /// Acknowledges what came, and looks again, behind the barrier, for a frame and for a kick that was forgotten; whether
    /// the driver may sleep.
    fn may_sleep(&mut self, net: &mut Net) -> bool {
        let why = net.ack_interrupt();
        assert!((why - InterruptStatus::QUEUE_INTERRUPT).is_empty(), "{:#x}", why.bits());
        fence(Ordering::SeqCst);
        if self.watch.owes_a_kick(self.by_event_index) {
            self.forgotten += 1;
            let kicked = self.device.write(Register::QueueNotify as u64, &RECEIVE.to_le_bytes());
            assert!(kicked.is_ok(), "{kicked:?}");
        }
        !net.can_recv()
    }

    /// Sleeps until the line is high. If it is not, somebody's word was lost.
    fn sleep(&self, net: &Net, at_most: Duration) -> Result<(), &'static str> {
        match self.probe.wait_high(at_most) {
            true => Ok(()),
            false if net.can_recv() => Err(LOST),
            false => Err("no frame comes, though every kick was made"),
        }
    }
}

/// Bytes of frame `number`.
fn len(number: u64) -> usize {
    const LENS: [usize; 8] = [60, 1514, 61, 1500, 14, 590, 22, 128];
    LENS[number as usize % LENS.len()]
}

/// Sends `count` frames, numbered from `from`, as fast as the card takes them.
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
        "{features:?}: {} sleeps, {} kicks forgotten; {} interrupts, {} suppressed; the line rose {} times",
        bench.sleeps,
        bench.forgotten,
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

/// The test of the tests around it: they see an interrupt that is lost.
#[test]
fn a_lost_interrupt_is_noticed() -> Tested {
    for features in [Features::NONE, Features::EVENT_IDX] {
        let mut bench = Bench::new(features)?;
        let frames = bench.frames.take().ok_or("they are there")?;
        let mut net = bench.bring_up()?;
        assert!(flood(&frames, 0, 100));
        bench.receive(&mut net, 100)?;
        bench.loss.begin();
        eventually("it may sleep", || bench.may_sleep(&mut net) && !bench.probe.is_high());
        assert!(flood(&frames, 100, 1));
        eventually("the frame is there", || net.can_recv());
        assert_eq!(bench.sleep(&net, Duration::from_millis(50)), Err(LOST), "{features:?}");
    }
    Ok(())
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
