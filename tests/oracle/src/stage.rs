//! A duel in front of a driver that keeps the rules, played by a script.

use std::collections::VecDeque;

use netrx::engine::{Moderation, Stats};
use netrx::spec::MIN_FRAME;
use netrx::{Features, FrameMeta};
use netrx_mock::{DriverConfig, FakeDriver, MockMemory, Placing, Shape, Taken, Trespass, traffic};

use crate::device::{Ending, Fate, Frame, Manner};
use crate::duel::{Duel, engine_config};
use crate::{NaiveQueue, header};

/// What the play is set in.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Descriptors in the queue.
    pub size: u16,
    /// What the driver acknowledged.
    pub features: Features,
    /// The shapes of its chains, in turn.
    pub shapes: Vec<Shape>,
    /// Where the indices start.
    pub start: u16,
    /// How the source places its frames.
    pub placing: Placing,
    /// Frames that find no room are dropped.
    pub drops: bool,
    /// Frames of a turn.
    pub budget: u32,
    /// In how many regions the memory lies.
    pub regions: usize,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The driver posts up to so many chains.
    Post(u16),
    /// The source gets a frame of so many bytes.
    Send(usize, FrameMeta),
    /// The engine has turns until it has to wait.
    Poll,
    /// The driver takes all frames that are there.
    Drain,
    /// The driver goes to sleep, if there is nothing to take.
    Sleep,
    /// The driver wants no interrupts.
    Ignore,
    /// The driver mixes its free chains.
    Shuffle(u64),
    /// The engine ends, and another takes over.
    Restart,
}

/// Why a play cannot begin or go on.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

impl Setup {
    /// Memory that is large enough.
    #[must_use]
    pub fn memory(&self) -> MockMemory {
        let size = usize::from(self.size);
        let buffers: usize =
            self.shapes.iter().flat_map(|shape| &shape.buffers).map(|len| *len as usize + 64).sum();
        let tables = 64 + 16 * self.shapes.iter().map(|shape| shape.buffers.len()).sum::<usize>();
        let len = 1024 + 26 * size + (buffers + tables) * size.div_ceil(self.shapes.len().max(1));
        MockMemory::heap(&vec![len; self.regions])
    }

    fn manner(&self) -> Manner {
        let reads = match self.placing {
            Placing::Copy | Placing::Burst(_) => None,
            Placing::Read { largest, .. } => Some(largest),
        };
        Manner { features: self.features, reads, drops: self.drops, budget: self.budget }
    }

    /// Whether chains are used in the order in which they were posted, whatever the frames: not so where several
    /// frames are read at once, of which some leave their chains behind.
    #[must_use]
    pub fn in_order(&self) -> bool {
        !matches!(self.placing, Placing::Read { batch: 2.., .. })
    }
}

/// A play: driver, engine, and the devices that the engine is compared with.
#[derive(Debug)]
pub struct Stage {
    setup: Setup,
    duel: Duel,
    driver: FakeDriver,
    frames: Vec<Frame>,
    /// Frames that were delivered and the driver has not taken, with the chains they are in.
    expected: VecDeque<(usize, Option<u16>)>,
    settled: usize,
    posted: u64,
    drained: u64,
    starved: bool,
    /// The driver sleeps, and so many interrupts had been raised before.
    asleep: Option<u64>,
    taken: Taken,
}

impl Stage {
    /// Sets the stage in `memory`, with the naive device beside the engine where chains are used in order.
    ///
    /// # Errors
    /// When the memory is too small, or the setup makes no sense.
    pub fn new(memory: &MockMemory, setup: Setup) -> Result<Self, Error> {
        let config = DriverConfig {
            size: setup.size,
            features: setup.features,
            shapes: setup.shapes.clone(),
            start: setup.start,
        };
        let driver = FakeDriver::new(memory, config)?;
        let manner = setup.manner();
        let mut config = engine_config(&manner);
        if setup.budget == u32::MAX {
            // Never cut short, a turn owes nothing at its end, however interrupts are held back in it.
            config.moderation = Moderation::default();
        }
        let ring = driver.ring_config();
        let mut duel = Duel::new(memory, ring, manner, setup.placing, config)?;
        if setup.in_order() {
            duel.against(NaiveQueue::new(memory, ring, setup.features));
        }
        Ok(Self {
            setup,
            duel,
            driver,
            frames: Vec::new(),
            expected: VecDeque::new(),
            settled: 0,
            posted: 0,
            drained: 0,
            starved: false,
            asleep: None,
            taken: Taken::default(),
        })
    }

    /// The duel, to add devices to it before the play begins.
    pub fn duel(&mut self) -> &mut Duel {
        &mut self.duel
    }

    /// Plays one step, and checks all that must hold after it.
    ///
    /// # Errors
    /// When the driver sees a violation, or the queue is refused at a restart.
    pub fn play(&mut self, op: Op) -> Result<(), Error> {
        match op {
            Op::Post(chains) => self.post(chains),
            Op::Send(len, meta) => self.send(len, meta),
            Op::Poll => self.poll(),
            Op::Drain => self.drain()?,
            Op::Sleep => {
                self.asleep = (!self.driver.want_interrupt()).then(|| self.duel.raised());
                self.duel.sync_avail();
            }
            Op::Ignore => {
                self.asleep = None;
                self.driver.ignore_interrupts();
                self.duel.sync_avail();
            }
            Op::Shuffle(seed) => self.driver.shuffle(&mut fastrand::Rng::with_seed(seed)),
            Op::Restart => {
                self.starved = false;
                self.duel.restart()?;
            }
        }
        Ok(())
    }

    fn post(&mut self, chains: u16) {
        let posted = self.driver.post(usize::from(chains));
        if posted.chains > 0 {
            assert!(
                posted.kick || !self.starved,
                "an engine without room waits for a kick that it did not ask for"
            );
            self.starved = false;
            self.posted += posted.chains as u64;
            self.duel.sync_avail();
        }
    }

    fn send(&mut self, len: usize, meta: FrameMeta) {
        let bytes = traffic::frame(self.frames.len() as u64, len);
        let frame = Frame { bytes, meta };
        self.duel.send(&frame);
        self.frames.push(frame);
    }

    fn poll(&mut self) {
        for _ in 0..=self.frames.len() + usize::from(self.setup.size) {
            let (ending, fates) = self.duel.poll();
            for fate in fates.unwrap_or_default() {
                if let Fate::Delivered(chains) = fate {
                    self.expected.push_back((self.settled, Some(chains)));
                }
                self.settled += 1;
            }
            match ending {
                Ending::More => continue,
                Ending::Broken => assert_eq!(ending, Ending::Idle, "the ring makes sense"),
                Ending::Idle => assert_eq!(self.duel.waiting(), 0, "idle with frames left"),
                Ending::Starved => self.check_starved(),
            }
            self.starved = ending == Ending::Starved;
            return self.check_awake();
        }
        assert_eq!(self.duel.waiting(), 0, "the engine makes no progress");
    }

    /// A driver that sleeps is interrupted for what it does not know.
    fn check_awake(&mut self) {
        let Some(before) = self.asleep else { return };
        let interrupted = self.duel.raised() > before;
        assert!(interrupted || !self.driver.has_used(), "the driver sleeps, and was not told of new entries");
        if interrupted {
            self.asleep = None;
        }
    }

    /// The frame in front really has no room. All chains are of one shape where nobody else checks that.
    fn check_starved(&self) {
        assert!(!self.setup.drops, "what has no room is dropped");
        let taken = self.duel.sum(|stats| stats.frames_taken) as usize;
        let completed = self.duel.sum(|stats| stats.chains_used + stats.chains_bad + stats.chains_emptied);
        let available = (self.posted - completed) as usize;
        let Some(frame) = self.frames.get(taken).filter(|_| !self.setup.in_order()) else { return };
        let chains = if header::merges(self.setup.features) { available } else { available.min(1) };
        let need = header::len(self.setup.features) + frame.bytes.len();
        assert!(chains * self.capacity() < need, "{available} chains, and no room for {need} bytes");
    }

    /// Bytes of a chain of the first shape.
    fn capacity(&self) -> usize {
        self.setup.shapes.first().map_or(0, |shape| shape.buffers.iter().sum::<u32>() as usize)
    }

    fn drain(&mut self) -> Result<(), Error> {
        self.asleep = None;
        let Self { setup, driver, taken, frames, expected, settled, drained, .. } = self;
        let capacity = setup.shapes.first().map_or(0, |shape| shape.buffers.iter().sum::<u32>() as usize);
        driver.drain(taken, |taken| {
            *drained += 1;
            if !setup.in_order() {
                while frames.get(*settled).is_some_and(|frame| never_fits(setup, capacity, frame)) {
                    *settled += 1;
                }
                expected.push_back((*settled, None));
                *settled += 1;
            }
            check_frame(setup, taken, frames, expected.pop_front());
        })?;
        assert!(self.expected.is_empty(), "frames that were delivered and did not come");
        Ok(())
    }

    /// Ends the play, and checks that every frame and every chain is accounted for.
    ///
    /// # Errors
    /// When the driver sees a violation.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.duel.finish();
        self.drain()?;
        let sum = |figure: fn(&Stats) -> u64| self.duel.sum(figure);
        let gone = sum(|stats| stats.frames_delivered + stats.frames_dropped());
        assert_eq!(gone + self.duel.waiting() as u64, self.frames.len() as u64, "frames taken and left");
        assert_eq!(self.drained, sum(|stats| stats.frames_delivered));
        assert_eq!(self.driver.emptied(), sum(|stats| stats.chains_bad + stats.chains_emptied));
        Ok(())
    }

    /// Checks that nothing was ever written outside of the rings and of the buffers that were posted.
    ///
    /// # Errors
    /// The first byte that was.
    pub fn audit(&self) -> Result<(), Trespass> {
        self.driver.audit()
    }
}

/// Whether a frame is dropped whatever is posted. A frame that spans chains is never too long here.
fn never_fits(setup: &Setup, capacity: usize, frame: &Frame) -> bool {
    let len = frame.bytes.len();
    let too_long = !header::merges(setup.features) && header::len(setup.features) + len > capacity;
    len < MIN_FRAME || too_long || header::bytes(setup.features, &frame.meta, len, 1).is_none()
}

fn check_frame(setup: &Setup, taken: &Taken, frames: &[Frame], expected: Option<(usize, Option<u16>)>) {
    let (number, chains) = expected.unwrap_or((usize::MAX, None));
    let Some(frame) = frames.get(number) else {
        return assert!(number < frames.len(), "a frame of {} bytes that nobody sent", taken.frame.len());
    };
    assert!(frame.bytes == taken.frame, "frame {number} came out otherwise than it went in");
    assert!(
        chains.is_none_or(|chains| chains == taken.chains),
        "frame {number} is in {} chains",
        taken.chains
    );
    let header = header::bytes(setup.features, &frame.meta, frame.bytes.len(), taken.chains);
    assert_eq!(header.as_deref(), Some(taken.header.as_slice()), "the header of frame {number}");
}
