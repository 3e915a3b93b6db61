//! From power-on to reset, and again.

use std::sync::mpsc;
use std::thread;

use netrx::spec::mmio::Register;
use netrx::worker::{End, Report};
use netrx::{EngineError, Features};
use netrx_mock::registers::LIVE;
use netrx_mock::traffic;
use netrx_oracle::Image;

use super::rig::{RECEIVE, Rig};
use super::{Tested, eventually};

/// Known failure 12: frames and buffers that were there before `DRIVER_OK` are served, in order, with an interrupt.
#[test]
fn frames_before_the_driver_is_ready_wait() -> Tested {
    for features in [Features::VERSION_1, Features::VERSION_1 | Features::EVENT_IDX] {
        let mut rig = Rig::new(features)?;
        for number in 0..5 {
            rig.script.frame(format!("an early frame, {number}"));
        }
        rig.agree()?;
        rig.post()?;
        rig.set_queue(RECEIVE, &rig.driver.ring_config())?;
        assert!(!rig.driver.has_used() && rig.script.left() == 5, "nothing happens before");
        rig.write(Register::Status, LIVE)?;
        let frames = rig.frames(5)?;
        assert!(
            (0..)
                .zip(&frames)
                .all(|(number, frame)| *frame == format!("an early frame, {number}").as_bytes())
        );
        eventually("the line rises", || rig.probe.is_high());
    }
    Ok(())
}

/// Known failures 5 and 38: once the write of 0 returns, no byte of the guest's memory changes, and the line is low.
#[test]
fn nothing_is_written_after_a_reset() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    let script = rig.script.clone();
    let flood = thread::spawn(move || {
        let mut frame = Vec::new();
        for number in 0..20_000 {
            traffic::make(number, 60, &mut frame);
            script.frame(frame.clone());
        }
    });
    for round in 0..20 {
        rig.start()?;
        rig.post()?;
        eventually("frames come", || rig.driver.has_used());
        rig.write(Register::Status, 0)?;
        let image = Image::of(&rig.memory);
        assert_eq!((rig.read(Register::Status), rig.read(Register::InterruptStatus)), (0, 0));
        assert!(!rig.probe.is_high(), "round {round}");
        for queue in [0, 1] {
            rig.write(Register::QueueNotify, queue)?;
        }
        rig.script.frame(*b"for the next driver");
        thread::yield_now();
        assert_eq!((image.first_difference(&rig.memory), rig.probe.is_high()), (None, false));
        rig.reset()?;
    }
    assert!(flood.join().is_ok());
    Ok(())
}

/// No frame is lost over resets but those that the old driver had in its buffers; 100 times.
#[test]
fn reset_and_start_again() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1 | Features::EVENT_IDX)?;
    for round in 0..100 {
        rig.script.frame(format!("the first of round {round}"));
        rig.start()?;
        rig.post()?;
        assert_eq!(rig.frames(1)?, [format!("the first of round {round}").as_bytes()]);
        rig.script.frame(format!("the second of round {round}"));
        assert_eq!(rig.frames(1)?, [format!("the second of round {round}").as_bytes()]);
        rig.reset()?;
    }
    assert_eq!(rig.script.left(), 0);
    Ok(())
}

/// Known failure 32: queue registers written while the device is live change nothing of what it does.
#[test]
fn registers_of_a_live_queue_are_frozen() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    let mut elsewhere = rig.driver.ring_config();
    (elsewhere.size, elsewhere.desc.0, elsewhere.used.0) = (32768, 0x4000_0000, 0x4000_0000);
    rig.set_queue(RECEIVE, &elsewhere)?;
    rig.post()?;
    rig.script.frame(*b"in the ring that was validated");
    assert_eq!(rig.frames(1)?, [b"in the ring that was validated"]);
    rig.driver.audit()?;
    Ok(())
}

/// A driver may stop a queue by unreadying it: it has stopped when the register says so, until the next reset.
#[test]
fn an_unready_queue_has_stopped() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    rig.post()?;
    rig.write(Register::QueueReady, 0)?;
    assert_eq!((rig.read(Register::QueueReady), rig.read(Register::Status)), (0, LIVE));
    let image = Image::of(&rig.memory);
    rig.script.frame(*b"after the queue stopped");
    rig.write(Register::QueueReady, 1)?;
    rig.write(Register::QueueNotify, RECEIVE)?;
    assert!(rig.device.slot().stats().is_none() && rig.read(Register::QueueReady) == 0);
    assert_eq!(image.first_difference(&rig.memory), None);
    rig.reset()?;
    rig.start()?;
    rig.post()?;
    assert_eq!(rig.frames(1)?, [b"after the queue stopped"]);
    Ok(())
}

/// The consumer hears what each worker did that is stopped: by a reset, by its queue's stop, after it ended by itself, and by
/// the end of the card.
#[test]
fn what_a_stopped_worker_did_is_told() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    let (told, heard) = mpsc::channel::<Report>();
    rig.device.on_stop(move |report| told.send(report).unwrap_or_default());
    let stops: [fn(&Rig) -> Tested; 2] =
        [|rig| Ok(rig.write(Register::Status, 0)?), |rig| Ok(rig.write(Register::QueueReady, 0)?)];
    for (round, stop) in (1..).zip(stops) {
        rig.start()?;
        rig.post()?;
        (0..round).for_each(|_| rig.script.frame(*b"one of those that are counted"));
        rig.frames(round)?;
        stop(&rig)?;
        let report = heard.try_recv()?;
        assert!(matches!(report.end, End::Stopped) && report.stats.frames_delivered == round as u64);
        rig.reset()?;
        assert!(heard.try_recv().is_err(), "once");
    }
    rig.start()?;
    let index = rig.driver.hostile().next_avail();
    rig.driver.hostile().avail_index(index.wrapping_add(100));
    rig.write(Register::QueueNotify, RECEIVE)?;
    rig.script.frame(*b"nowhere to go");
    eventually("the ring is found broken", || rig.read(Register::Status) != LIVE);
    rig.reset()?;
    assert!(matches!(heard.try_recv()?.end, End::Failed(EngineError::Ring(_))));
    rig.start()?;
    drop(rig);
    assert!(matches!(heard.recv()?.end, End::Stopped));
    assert!(heard.recv().is_err(), "the hook is gone with the card");
    Ok(())
}

/// Two vCPUs write the same registers while frames flow and a third resets: nothing hangs, and a start after it works.
#[test]
fn vcpus_fight_over_the_registers() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    for round in 0..30 {
        rig.start()?;
        rig.post()?;
        (0..20).for_each(|_| rig.script.frame(*b"in the middle of a fight"));
        thread::scope(|scope| {
            let hammer = |seed: u64| {
                let mut random = fastrand::Rng::with_seed(seed);
                let rig = &rig;
                move || {
                    for _ in 0..200 {
                        let register = Register::ALL[random.usize(..Register::ALL.len())];
                        let value = [0, 1, 3, LIVE, u32::MAX][random.usize(..5)];
                        let written = rig.write(register, value);
                        assert!(written.is_ok(), "{register:?} <- {value:#x}: {written:?}");
                        let _ = rig.read(register);
                    }
                }
            };
            scope.spawn(hammer(2 * round));
            scope.spawn(hammer(2 * round + 1));
        });
        rig.reset()?;
        assert_eq!((rig.read(Register::Status), rig.probe.is_high()), (0, false));
    }
    rig.start()?;
    rig.post()?;
    rig.script.frame(*b"the last word");
    eventually("every frame is taken", || {
        let _ = rig.driver.drain_frames();
        rig.driver.post(usize::MAX);
        let _ = rig.write(Register::QueueNotify, RECEIVE);
        rig.script.left() == 0
    });
    Ok(())
}
