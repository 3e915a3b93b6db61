//! Interrupts held back: for longer than the index can count, and for want of frames.

use std::time::{Duration, Instant};

use netrx::engine::{Budget, Moderation, WhenFull};
use netrx::{EngineConfig, Features, Progress};
use netrx_mock::{DriverConfig, Rig, ScriptedSource, Shape};

type Tested = Result<(), Box<dyn std::error::Error>>;

/// While the driver polls, nothing needs to be decided for 65535 entries and more. When it goes to sleep then, the
/// decision spans more entries than the index has values.
fn a_sleeper_is_woken_after(turns: usize, budget: u32, features: Features) -> Tested {
    let config = EngineConfig {
        when_full: WhenFull::Wait,
        moderation: Moderation { max_frames: u32::MAX, max_delay: Duration::MAX, ..Moderation::default() },
        budget: Budget { frames: budget, bytes: u64::MAX },
    };
    let driver = DriverConfig::new(1024, features, Shape::single(64));
    let Rig { mut driver, mut engine, irq } = Rig::with(driver, config)?;
    let (mut source, script) = ScriptedSource::new();
    let now = Instant::now();

    driver.post(1024);
    script.frame([1; 50]);
    assert_eq!(engine.poll(&mut source, now)?, Progress::Idle);
    driver.ignore_interrupts();
    (0..turns * budget as usize + 5).for_each(|_| script.frame([2; 50]));
    for _ in 0..turns {
        driver.drain_frames()?;
        driver.post(1024);
        assert_eq!(engine.poll(&mut source, now)?, Progress::More);
    }
    driver.drain_frames()?;
    driver.post(1024);
    assert!(!driver.want_interrupt(), "nothing is there to be taken");
    let before = irq.raised();
    assert_eq!(engine.poll(&mut source, now)?, Progress::Idle);
    assert_eq!(driver.drain_frames()?.len(), 5);
    assert_eq!(irq.raised(), before + 1, "the driver sleeps and was not told of five frames");
    Ok(())
}

#[test]
fn the_index_runs_past_where_it_was_decided() -> Tested {
    a_sleeper_is_woken_after(71, 923, Features::EVENT_IDX)
}

#[test]
fn the_index_comes_back_to_where_it_was_decided() -> Tested {
    for features in [Features::NONE, Features::EVENT_IDX] {
        a_sleeper_is_woken_after(3449, 19, features)?;
    }
    Ok(())
}

/// Under load an interrupt may be held back although the source is empty; then the engine says until when, and raises it.
#[test]
fn what_is_held_back_for_want_of_frames_falls_due() -> Tested {
    let latency = Duration::from_millis(1);
    let config = EngineConfig { moderation: Moderation::adaptive(latency), ..EngineConfig::default() };
    let driver = DriverConfig::new(64, Features::NONE, Shape::single(64));
    let Rig { mut driver, mut engine, irq } = Rig::with(driver, config)?;
    let (mut source, script) = ScriptedSource::new();
    let mut now = Instant::now();

    driver.post(64);
    let mut held = None;
    for frame in 1..=20 {
        script.frame([frame; 50]);
        now += Duration::from_micros(1);
        assert_eq!(engine.poll(&mut source, now)?, Progress::Idle);
        held = engine.held_until();
    }
    let (before, until) = (irq.raised(), held.ok_or("twenty frames in twenty microseconds are no load")?);
    assert!(before < 20 && until > now && until <= now + latency, "{before} interrupts");
    assert_eq!(engine.poll(&mut source, until - Duration::from_nanos(1))?, Progress::Idle);
    assert_eq!(irq.raised(), before, "a moment early");
    assert_eq!(engine.poll(&mut source, until)?, Progress::Idle);
    assert_eq!((irq.raised(), engine.held_until()), (before + 1, None));
    assert_eq!(driver.drain_frames()?.len(), 20);
    Ok(())
}
