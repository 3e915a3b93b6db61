//! The engine and the devices it is compared with, side by side over the same memory and frames.

use std::collections::VecDeque;
use std::time::Instant;

use netrx::engine::{Budget, Finished, Moderation, Stats, WhenFull};
use netrx::ring::{ConfigError, Cursor, RingConfig, SplitRing};
use netrx::{DropReason, Engine, EngineConfig, EngineError, Features, Gpa, Progress};
use netrx_mock::{IrqProbe, MockIrq, MockMemory, Placing, Script, ScriptedSource};

use crate::device::{Device, End, Ending, Fate, Frame, Manner, Turn};
use crate::queue::Queue;

/// The engine against any number of devices.
///
/// Every device has a copy of the memory of its own. After each turn all of them must have done the same, byte for
/// byte: frames, used entries, indices, flags and events.
pub struct Duel {
    memory: MockMemory,
    ring: RingConfig,
    manner: Manner,
    config: (Features, EngineConfig),
    /// None when it has ended.
    engine: Option<Engine<MockMemory, MockIrq>>,
    source: ScriptedSource,
    script: Script,
    probe: IrqProbe,
    rivals: Vec<Rival>,
    broken: bool,
    now: Instant,
    before: Stats,
    /// Of the engines before this one.
    past: Vec<Stats>,
}

struct Rival {
    device: Device,
    frames: VecDeque<Frame>,
}

impl std::fmt::Debug for Duel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Duel").field("ring", &self.ring).field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl Duel {
    /// An engine over the queue that `ring` describes, fed by a source that places frames as told.
    ///
    /// # Errors
    /// When the queue is refused.
    pub fn new(
        memory: &MockMemory,
        ring: RingConfig,
        manner: Manner,
        placing: Placing,
        config: EngineConfig,
    ) -> Result<Self, ConfigError> {
        let (_, probe) = MockIrq::new();
        let config = (manner.features, config);
        let engine = start_engine(memory, ring, &probe, &config)?;
        let (source, script) = ScriptedSource::placing(placing);
        Ok(Self {
            memory: memory.clone(),
            ring,
            manner,
            config,
            engine: Some(engine),
            source,
            script,
            probe,
            rivals: Vec::new(),
            now: Instant::now(),
            broken: false,
            before: Stats::default(),
            past: Vec::new(),
        })
    }

    /// Adds a device to compare with, before anything happens.
    pub fn against(&mut self, queue: impl Queue + 'static) {
        let device = Device::new(queue, self.manner);
        self.rivals.push(Rival { device, frames: VecDeque::new() });
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> &MockMemory {
        &self.memory
    }

    /// The queue's registers, with the first start.
    #[must_use]
    pub fn ring(&self) -> &RingConfig {
        &self.ring
    }

    /// Whether the ring was found to make no sense.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// How many interrupts were raised.
    #[must_use]
    pub fn raised(&self) -> u64 {
        self.probe.raised()
    }

    /// How many frames wait in the source.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.script.left()
    }

    /// Gives everyone a frame.
    pub fn send(&mut self, frame: &Frame) {
        self.script.frame_with(frame.bytes.as_slice(), frame.meta);
        self.rivals.iter_mut().for_each(|rival| rival.frames.push_back(frame.clone()));
    }

    /// Shows the devices what the driver wrote.
    pub fn sync(&mut self, at: Gpa, len: usize) {
        self.rivals.iter_mut().for_each(|rival| rival.device.queue().sync(&self.memory, at, len));
    }

    /// Shows the devices the driver's ring.
    pub fn sync_avail(&mut self) {
        self.sync(self.ring.avail, 6 + 2 * usize::from(self.ring.size));
    }

    /// Takes one turn with everyone, and compares; returns how the engine's ended, and the frames' fates if there is
    /// a device to tell.
    pub fn poll(&mut self) -> (Ending, Option<Vec<Fate>>) {
        let raised = self.probe.raised();
        let Some(engine) = &mut self.engine else { return (Ending::Broken, None) };
        let ending = ending(engine.poll(&mut self.source, self.now));
        let interrupt = self.probe.raised() > raised;
        let stats = engine.counters().snapshot();
        self.broken = ending == Ending::Broken;
        check_ledgers(&stats, self.ring.size);
        let bad = self.sum(|stats| stats.chains_bad);
        let mut fates = None;
        for Rival { device, frames } in &mut self.rivals {
            let turn = device.poll(frames);
            let netrx = Turn { ending, interrupt, fates: turn.fates.clone() };
            assert_eq!(netrx, turn, "netrx's turn (left) and the device's (right)");
            check_fates(&turn.fates, &self.before, &stats, self.manner.reads.is_some());
            assert_eq!(stats.chains_held(), device.held() as u64, "chains held");
            assert_eq!(bad, device.rejected(), "chains that are of no use");
            fates = Some(turn.fates);
        }
        self.compare_memory();
        self.before = stats;
        (ending, fates)
    }

    /// Ends the engine and makes a new one where it stood, as a snapshot and a restore do.
    ///
    /// # Errors
    /// When the queue is refused.
    pub fn restart(&mut self) -> Result<(), ConfigError> {
        let start = self.end();
        let mut engine =
            start_engine(&self.memory, RingConfig { start, ..self.ring }, &self.probe, &self.config)?;
        engine.owe_interrupt();
        self.engine = Some(engine);
        self.before = Stats::default();
        Ok(())
    }

    /// Ends the engine, and returns where it stands.
    fn end(&mut self) -> Cursor {
        let raised = self.probe.raised();
        let Some(engine) = self.engine.take() else { return self.ring.start };
        let finished = engine.finish();
        let Finished { cursor, stats, .. } = finished;
        check_ledgers(&stats, self.ring.size);
        let broken = self.broken;
        let interrupt = self.probe.raised() > raised;
        for Rival { device, .. } in &mut self.rivals {
            let end = device.end();
            let netrx = End { cursor, emptied: stats.chains_emptied, interrupt };
            assert!(end == netrx, "netrx ends with {netrx:?}, the device with {end:?}");
            device.restart(cursor);
        }
        assert!(broken || cursor.next_avail == cursor.next_used, "nothing is held at the end: {cursor:?}");
        assert!(broken || stats.chains_held() == 0, "nothing is held at the end: {stats:?}");
        self.past.push(stats);
        cursor
    }

    /// A ledger's figure, summed over all engines so far.
    #[must_use]
    pub fn sum(&self, figure: impl Fn(&Stats) -> u64) -> u64 {
        let now = self.engine.as_ref().map(|engine| engine.counters().snapshot());
        self.past.iter().chain(&now).map(figure).sum()
    }

    /// Ends everything.
    pub fn finish(&mut self) {
        self.end();
        self.compare_memory();
    }

    fn compare_memory(&mut self) {
        for rival in &mut self.rivals {
            let difference = rival.device.queue().first_difference(&self.memory);
            assert_eq!(difference, None, "the first byte of guest memory that differs");
        }
    }
}

fn start_engine(
    memory: &MockMemory,
    ring: RingConfig,
    probe: &IrqProbe,
    (features, config): &(Features, EngineConfig),
) -> Result<Engine<MockMemory, MockIrq>, ConfigError> {
    let split = SplitRing::new(ring, *features, memory)?;
    Ok(Engine::new(split, memory.clone(), MockIrq::to(probe), *config))
}

/// An engine's config for a device's manner.
#[must_use]
pub fn engine_config(manner: &Manner) -> EngineConfig {
    EngineConfig {
        when_full: if manner.drops { WhenFull::DropNewest } else { WhenFull::Wait },
        moderation: Moderation::NONE,
        budget: Budget { frames: manner.budget, bytes: u64::MAX },
    }
}

fn check_ledgers(stats: &Stats, size: u16) {
    assert!(stats.is_balanced(), "taken = delivered + dropped: {stats:?}");
    assert!(
        stats.chains_held() <= u64::from(size),
        "popped = used + bad + emptied + given back + held: {stats:?}"
    );
}

/// The counters moved as the fates say.
fn check_fates(fates: &[Fate], before: &Stats, after: &Stats, reads: bool) {
    let delivered = fates.iter().filter(|fate| matches!(fate, Fate::Delivered(_))).count();
    assert_eq!(after.frames_delivered - before.frames_delivered, delivered as u64);
    assert_eq!(after.frames_dropped() - before.frames_dropped(), (fates.len() - delivered) as u64);
    // One that reads may find out in another order what is wrong with a frame.
    for reason in DropReason::ALL.into_iter().filter(|_| !reads) {
        let dropped = fates.iter().filter(|fate| **fate == Fate::Dropped(reason)).count();
        assert_eq!(after.dropped(reason) - before.dropped(reason), dropped as u64, "dropped as {reason}");
    }
}

fn ending(progress: Result<Progress, EngineError>) -> Ending {
    match progress {
        Ok(Progress::More) => Ending::More,
        Ok(Progress::Idle | Progress::Closed) => Ending::Idle,
        Ok(Progress::Starved) => Ending::Starved,
        Err(error) => {
            assert!(matches!(error, EngineError::Ring(_)), "nothing but the ring can fail: {error}");
            Ending::Broken
        }
    }
}
