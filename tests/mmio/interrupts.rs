//! The level line: raised by used buffers, by a change of the configuration, by a broken ring; lowered by the last
//! acknowledgement.

use std::sync::mpsc;

use netrx::mmio::MmioError;
use netrx::spec::mmio::interrupt::{CONFIG, USED};
use netrx::spec::mmio::{Register, status};
use netrx::worker::SlotError;
use netrx::{Features, IrqError, IrqLine, RxWorkerSlot};
use netrx_mock::registers::LIVE;

use super::rig::{RECEIVE, Rig};
use super::{STUCK, Tested, eventually};

#[test]
fn raised_acknowledged_lowered() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    rig.post()?;
    for round in 1..=20 {
        assert!(!rig.probe.is_high() && rig.read(Register::InterruptStatus) == 0, "nothing yet");
        rig.script.frame(*b"a frame to interrupt for");
        eventually("the line rises", || rig.probe.is_high());
        assert_eq!((rig.acknowledge()?, rig.probe.is_high()), (USED, false));
        assert_eq!((rig.frames(1)?.len(), rig.probe.rises()), (1, round));
        rig.post()?;
    }
    Ok(())
}

/// Two reasons at once: the line falls with the last of them, whatever else is acknowledged.
#[test]
fn the_line_falls_with_the_last_reason() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    rig.device.irq().raise()?;
    rig.device.set_link(false)?;
    assert_eq!((rig.read(Register::InterruptStatus), rig.probe.rises()), (USED | CONFIG, 1));
    for (acknowledged, left) in
        [(0, USED | CONFIG), (!(USED | CONFIG), USED | CONFIG), (USED, CONFIG), (USED, CONFIG)]
    {
        rig.write(Register::InterruptAck, acknowledged)?;
        assert_eq!((rig.read(Register::InterruptStatus), rig.probe.is_high()), (left, true));
    }
    rig.write(Register::InterruptAck, u32::MAX)?;
    assert_eq!((rig.read(Register::InterruptStatus), rig.probe.is_high()), (0, false));
    assert_eq!(rig.probe.sets(), 2, "the line was told of changes only");
    Ok(())
}

/// The link's state is in the configuration space; only a live driver is interrupted for it.
#[test]
fn the_link_goes_down_and_up() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    rig.device.set_link(false)?;
    assert_eq!((rig.read(Register::ConfigGeneration), rig.probe.is_high()), (1, false));
    rig.start()?;
    rig.device.set_link(false)?;
    assert!(!rig.probe.is_high(), "no change");
    rig.device.set_link(true)?;
    let mut link = [0; 2];
    rig.device.read(0x106, &mut link);
    assert_eq!((rig.acknowledge()?, link, rig.read(Register::ConfigGeneration)), (CONFIG, [1, 0], 2));
    Ok(())
}

/// A line that is busy is tried again by the worker; the reason is in the register meanwhile.
#[test]
fn a_busy_line() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.probe.fail([IrqError::Busy, IrqError::Busy, IrqError::Busy]);
    rig.start()?;
    rig.post()?;
    rig.script.frame(*b"the line is busy for a while");
    eventually("the line rises", || rig.probe.is_high());
    assert_eq!(rig.acknowledge()?, USED);
    Ok(())
}

/// A line that cannot be lowered is the host's fault, and the VMM is told.
#[test]
fn a_broken_line() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    rig.device.irq().raise()?;
    rig.probe.fail([IrqError::Failed("broken".into())]);
    assert!(matches!(rig.acknowledge(), Err(MmioError::Line(IrqError::Failed(_)))));
    assert!(rig.probe.is_high() && rig.read(Register::InterruptStatus) == 0);
    rig.device.irq().raise()?;
    assert_eq!((rig.acknowledge()?, rig.probe.is_high()), (USED, false), "the next change sets it right");
    Ok(())
}

/// A ring that makes no sense: the status says so, the guest is interrupted, the consumer is told, and a reset mends it.
#[test]
fn a_broken_ring_needs_a_reset() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel();
    rig.device.on_end(move |end| drop(told.send(format!("{end:?}"))));
    rig.start()?;
    let index = rig.driver.hostile().next_avail();
    rig.driver.hostile().avail_index(index.wrapping_add(100));
    rig.script.frame(*b"nowhere to go, for now");
    rig.write(Register::QueueNotify, RECEIVE)?;
    eventually("the line rises", || rig.probe.is_high());
    assert_eq!(rig.read(Register::Status), LIVE | status::NEEDS_RESET);
    assert_eq!((rig.acknowledge()?, rig.probe.is_high()), (CONFIG, false));
    assert!(heard.recv_timeout(STUCK)?.contains("IndexJump"));
    rig.write(Register::Status, LIVE)?;
    assert_eq!(rig.read(Register::Status), LIVE | status::NEEDS_RESET, "only a reset ends that");
    rig.reset()?;
    assert_eq!(rig.read(Register::Status), 0);
    rig.start()?;
    rig.post()?;
    assert_eq!(rig.frames(1)?, [b"nowhere to go, for now"]);
    Ok(())
}

/// Queues that make no sense are the guest's fault: no error, and a device that needs a reset.
#[test]
fn a_wrong_queue_needs_a_reset() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let good = rig.driver.ring_config();
    let (mut misaligned, mut outside, mut size, mut large) = (good, good, good, good);
    misaligned.used.0 += 2;
    outside.avail.0 = 0;
    size.size = 3;
    large.size = 512;
    let all_wrong = [misaligned, outside, size, large];
    for (wrong, queue) in all_wrong.into_iter().flat_map(|ring| [(ring, 0), (ring, 1)]) {
        rig.agree()?;
        rig.set_queue(0, &good)?;
        rig.set_queue(1, &good)?;
        rig.write(Register::QueueSel, queue)?;
        rig.write(Register::QueueReady, 0)?;
        rig.set_queue(queue, &wrong)?;
        rig.write(Register::Status, LIVE)?;
        assert_eq!(rig.read(Register::Status), LIVE | status::NEEDS_RESET, "{wrong:?}");
        assert_eq!((rig.acknowledge()?, rig.forward.calls()), (CONFIG, [0; 3]));
        assert!(rig.device.slot().stats().is_none(), "nothing runs");
        rig.write(Register::Status, 0)?;
    }
    rig.start()?;
    assert_eq!(rig.read(Register::Status), LIVE);
    Ok(())
}

/// A part that the consumer forgot is the host's fault: it is told, and so is the guest.
#[test]
fn a_missing_source() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    let slot: &RxWorkerSlot<_, _> = rig.device.slot();
    let stopped = slot.stop()?.ok_or("it ran")?;
    rig.write(Register::Status, 0)?;
    assert!(matches!(rig.start(), Err(MmioError::Slot(SlotError::Missing(_)))));
    assert_eq!(rig.read(Register::Status), LIVE | status::NEEDS_RESET);
    slot.offer_source(0, stopped.source);
    rig.write(Register::Status, 0)?;
    rig.start()?;
    Ok(())
}

/// A line that is busy when the link changes: who asks again as told has the guest interrupted.
#[test]
fn a_link_that_changes_while_the_line_is_busy() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    rig.probe.fail([netrx::IrqError::Busy]);
    assert!(rig.device.set_link(false).is_err(), "it is told that the line was not raised");
    rig.device.set_link(false)?;
    assert!(rig.probe.is_high(), "the second try says that it was");
    Ok(())
}

/// A ring that breaks while the line is busy: the guest is interrupted all the same.
#[test]
fn a_ring_that_breaks_while_the_line_is_busy() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    let index = rig.driver.hostile().next_avail();
    rig.driver.hostile().avail_index(index.wrapping_add(100));
    rig.probe.fail([IrqError::Busy]);
    rig.script.frame(*b"nowhere to go, for now");
    rig.write(Register::QueueNotify, RECEIVE)?;
    eventually("the status says so", || rig.read(Register::Status) == LIVE | status::NEEDS_RESET);
    eventually("the line rises", || rig.probe.is_high());
    Ok(())
}

/// A device that cannot go live while the line is busy, for the guest's fault or for the host's: the guest is interrupted all
/// the same, since nobody writes `DRIVER_OK` again.
#[test]
fn a_start_that_fails_while_the_line_is_busy() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let mut wrong = rig.driver.ring_config();
    wrong.size = 3;
    rig.agree()?;
    rig.set_queue(RECEIVE, &wrong)?;
    rig.probe.fail([IrqError::Busy, IrqError::Busy]);
    rig.write(Register::Status, LIVE)?;
    assert_eq!((rig.acknowledge()?, rig.probe.rises()), (CONFIG, 1));
    rig.write(Register::Status, 0)?;
    rig.start()?;
    let _source = rig.device.slot().stop()?;
    rig.write(Register::Status, 0)?;
    rig.probe.fail([IrqError::Busy, IrqError::Busy]);
    assert!(matches!(rig.start(), Err(MmioError::Slot(SlotError::Missing(_)))));
    assert_eq!((rig.acknowledge()?, rig.probe.rises()), (CONFIG, 2));
    Ok(())
}

/// Nobody can acknowledge what a card that is gone has raised.
#[test]
fn a_card_that_is_dropped_lowers_its_line() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    rig.post()?;
    rig.script.frame(*b"a frame to interrupt for");
    eventually("the line rises", || rig.probe.is_high());
    rig.probe.fail([IrqError::Busy, IrqError::Busy]);
    let Rig { device, probe, .. } = rig;
    // Whoever serves the transmit queue may have kept one.
    let _irq = device.irq();
    drop(device);
    assert!(!probe.is_high());
    Ok(())
}
