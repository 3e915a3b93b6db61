//! A guest and the engine before it, turned by hand: what a source needs to be tested with.

use std::time::Instant;

use netrx::engine::Stats;
use netrx::ring::{ConfigError, SplitRing};
use netrx::{Engine, EngineConfig, EngineError, FrameSource, Progress};

use crate::patience::STUCK;
use crate::{DriverConfig, DriverError, FakeDriver, IrqProbe, MockIrq, MockMemory, Trespass, Violation};

/// A fake guest behind an engine, on one thread.
///
/// ```
/// use netrx::{Features, Progress};
/// use netrx_mock::{DriverConfig, Rig, ScriptedSource, Shape};
///
/// let mut rig = Rig::new(DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))?;
/// let (mut source, script) = ScriptedSource::new();
/// script.frame([7; 60]);
/// assert_eq!(rig.turn(&mut source)?, (Progress::Idle, vec![vec![7; 60]]));
/// assert_eq!(rig.check()?.frames_delivered, 1);
/// # Ok::<(), netrx_mock::RigError>(())
/// ```
#[derive(Debug)]
pub struct Rig {
    /// The guest.
    pub driver: FakeDriver,
    /// The device.
    pub engine: Engine<MockMemory, MockIrq>,
    /// The interrupts between them.
    pub irq: IrqProbe,
}

/// What is wrong with one of the two.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RigError {
    /// The guest cannot be set up.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Its queue is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A turn failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The device did what no device may.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It wrote where it may not.
    #[error(transparent)]
    Trespass(#[from] Trespass),
    /// A frame is unaccounted for.
    #[error("frames taken are not those delivered and dropped: {0:?}")]
    Unbalanced(Box<Stats>),
    /// Frames that were waited for did not come.
    #[error("only {came} of {wanted} frames came")]
    Stuck {
        /// How many came.
        came: usize,
        /// How many were wanted.
        wanted: usize,
    },
}

impl Rig {
    /// A guest with two mebibytes in two regions, and an engine as it is by default. Nothing is posted yet.
    ///
    /// # Errors
    /// When the guest's buffers do not fit there, or its queue makes no sense.
    pub fn new(driver: DriverConfig) -> Result<Self, RigError> {
        Self::with(driver, EngineConfig::default())
    }

    /// The same, with another engine.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with(driver: DriverConfig, engine: EngineConfig) -> Result<Self, RigError> {
        Self::on(&MockMemory::heap(&[1 << 20, 1 << 20]), driver, engine)
    }

    /// The same, in other memory.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn on(memory: &MockMemory, driver: DriverConfig, engine: EngineConfig) -> Result<Self, RigError> {
        let driver = FakeDriver::new(memory, driver)?;
        let ring = SplitRing::new(driver.ring_config(), driver.features(), memory)?;
        let (line, irq) = MockIrq::new();
        Ok(Self { driver, engine: Engine::new(ring, memory.clone(), line, engine), irq })
    }

    /// Takes one turn, now.
    ///
    /// # Errors
    /// When the turn fails.
    pub fn poll(&mut self, source: &mut (impl FrameSource + ?Sized)) -> Result<Progress, EngineError> {
        self.engine.poll(source, Instant::now())
    }

    /// Posts all of the guest's buffers, takes one turn, and drains: how the turn ended, and the frames that came.
    ///
    /// # Errors
    /// When the turn fails, or the guest finds fault with what came.
    pub fn turn(
        &mut self,
        source: &mut (impl FrameSource + ?Sized),
    ) -> Result<(Progress, Vec<Vec<u8>>), RigError> {
        self.driver.post(usize::MAX);
        let progress = self.poll(source)?;
        Ok((progress, self.driver.drain_frames()?))
    }

    /// Takes turns until the source has nothing more, or is closed: the frames that came.
    ///
    /// # Errors
    /// As for [`turn`](Self::turn) and [`check`](Self::check).
    pub fn drain(&mut self, source: &mut (impl FrameSource + ?Sized)) -> Result<Vec<Vec<u8>>, RigError> {
        let mut all = Vec::new();
        loop {
            let (progress, frames) = self.turn(source)?;
            all.extend(frames);
            if matches!(progress, Progress::Idle | Progress::Closed) {
                self.check()?;
                return Ok(all);
            }
        }
    }

    /// Takes turns, and waits for the source between them, until `wanted` frames have come or the source is closed.
    ///
    /// # Errors
    /// As for [`turn`](Self::turn), when a wait fails, and when it takes longer than 20 seconds.
    pub fn take(
        &mut self,
        source: &mut (impl FrameSource + ?Sized),
        wanted: usize,
    ) -> Result<Vec<Vec<u8>>, RigError> {
        let until = Instant::now() + STUCK;
        let mut all = Vec::new();
        while all.len() < wanted {
            if Instant::now() > until {
                return Err(RigError::Stuck { came: all.len(), wanted });
            }
            let (progress, frames) = self.turn(source)?;
            all.extend(frames);
            match progress {
                Progress::Closed => break,
                Progress::Idle if all.len() < wanted => {
                    source.wait(Some(until)).map_err(EngineError::Source)?;
                }
                Progress::Idle | Progress::More | Progress::Starved => {}
            }
        }
        Ok(all)
    }

    /// The counters as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.counters().snapshot()
    }

    /// Checks that nothing was written but the rings and the guest's buffers, and that no frame is unaccounted for; gives
    /// the counters.
    ///
    /// # Errors
    /// When it is not so.
    pub fn check(&self) -> Result<Stats, RigError> {
        self.driver.audit()?;
        let stats = self.stats();
        if stats.is_balanced() { Ok(stats) } else { Err(RigError::Unbalanced(Box::new(stats))) }
    }
}
