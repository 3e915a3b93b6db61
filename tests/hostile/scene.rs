//! The scene of a row: memory, a driver that can turn hostile, the engine, and the naive device beside it.

use netrx::engine::Stats;
use netrx::{DropReason, Features, FrameMeta};
use netrx_mock::{DriverConfig, FakeDriver, Hostile, MockMemory, Placing, Shape, Taken, traffic};
use netrx_oracle::{Duel, Ending, Frame, Image, Manner, NaiveQueue, engine_config};

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&Set) -> Verdict,
    pub(crate) verdict: &'static str,
}

pub(crate) type Error = Box<dyn std::error::Error>;
pub(crate) type Verdict = Result<String, Error>;

/// Where the guest's memory is from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ground {
    Heap,
    #[cfg(unix)]
    Guarded,
}

/// What a scene is set with.
#[derive(Clone)]
pub(crate) struct Set {
    pub(crate) ground: Ground,
    pub(crate) regions: Vec<usize>,
    pub(crate) driver: DriverConfig,
    pub(crate) placing: Placing,
    pub(crate) budget: u32,
    pub(crate) drops: bool,
    /// No naive device beside the engine.
    pub(crate) alone: bool,
}

impl Set {
    /// Eight single buffers of 200 bytes.
    pub(crate) fn on(ground: Ground) -> Self {
        Self {
            ground,
            regions: vec![1 << 16],
            driver: DriverConfig::new(8, Features::VERSION_1, Shape::single(200)),
            placing: Placing::Copy,
            budget: u32::MAX,
            drops: false,
            alone: false,
        }
    }

    pub(crate) fn features(&self, features: Features) -> Self {
        let mut set = self.clone();
        set.driver.features = features;
        set
    }

    pub(crate) fn size(&self, size: u16) -> Self {
        let mut set = self.clone();
        set.driver.size = size;
        set
    }

    pub(crate) fn shapes(&self, shapes: &[Shape]) -> Self {
        let mut set = self.clone();
        set.driver.shapes = shapes.to_vec();
        set
    }

    pub(crate) fn memory(&self) -> Result<MockMemory, Error> {
        match self.ground {
            Ground::Heap => Ok(MockMemory::heap(&self.regions)),
            #[cfg(unix)]
            Ground::Guarded => Ok(MockMemory::guarded(&self.regions)?),
        }
    }

    pub(crate) fn manner(&self) -> Manner {
        let reads = match self.placing {
            Placing::Copy | Placing::Burst(_) => None,
            Placing::Read { largest, .. } => Some(largest),
        };
        Manner { features: self.driver.features, reads, drops: self.drops, budget: self.budget }
    }

    pub(crate) fn open(&self) -> Result<Scene, Error> {
        let memory = self.memory()?;
        let driver = FakeDriver::new(&memory, self.driver.clone())?;
        let manner = self.manner();
        let ring = driver.ring_config();
        let mut duel = Duel::new(&memory, ring, manner, self.placing, engine_config(&manner))?;
        if !self.alone {
            duel.against(NaiveQueue::new(&memory, ring, manner.features));
        }
        Ok(Scene { memory, duel, driver, sent: 0, drained: 0, ending: Ending::Idle })
    }
}

/// A row's play.
pub(crate) struct Scene {
    memory: MockMemory,
    pub(crate) duel: Duel,
    pub(crate) driver: FakeDriver,
    sent: u64,
    /// Frames before this one came, or will not come any more.
    drained: u64,
    ending: Ending,
}

impl Scene {
    pub(crate) fn hostile(&mut self) -> Hostile<'_> {
        self.driver.hostile()
    }

    /// Where the guest's memory ends.
    pub(crate) fn end(&self) -> u64 {
        self.memory.regions().last().map_or(0, |(start, len)| start.0 + *len as u64)
    }

    pub(crate) fn send(&mut self, len: usize) {
        self.send_with(len, FrameMeta::PLAIN);
    }

    pub(crate) fn send_with(&mut self, len: usize, meta: FrameMeta) {
        let bytes = traffic::frame(self.sent, len);
        self.duel.send(&Frame { bytes, meta });
        self.sent += 1;
    }

    /// One turn.
    pub(crate) fn poll(&mut self) -> Ending {
        for &(start, len) in self.memory.regions() {
            self.duel.sync(start, len);
        }
        self.ending = self.duel.poll().0;
        self.ending
    }

    /// What the driver finds: each frame is whole, and they are in order.
    pub(crate) fn drain(&mut self) -> Result<Vec<Taken>, Error> {
        let mut frames = Vec::new();
        self.driver.drain(&mut Taken::default(), |taken| frames.push(taken.clone()))?;
        for taken in &frames {
            let mut left = self.drained..self.sent;
            let number = left.find(|number| traffic::is_frame(*number, &taken.frame));
            self.drained = 1 + number.ok_or("a frame is not whole, or not in its place")?;
        }
        Ok(frames)
    }

    /// The raw used entries since the last look, and how the last turn ended.
    pub(crate) fn used(mut self) -> Verdict {
        let used: Vec<_> = self.hostile().used().iter().map(|(id, len)| format!("{id}:{len}")).collect();
        self.close()?;
        Ok(format!("used {}; {:?}", used.join(" "), self.ending))
    }

    /// The ledgers, as far as they are not zero, and how the last turn ended.
    pub(crate) fn ledger(mut self) -> Verdict {
        self.close()?;
        let sum = |figure: fn(&Stats) -> u64| self.duel.sum(figure);
        let mut figures = vec![
            (sum(|stats| stats.frames_delivered), "delivered"),
            (sum(|stats| stats.chains_bad), "bad"),
            (sum(|stats| stats.chains_emptied), "emptied"),
            (sum(|stats| stats.irqs_raised), "irqs"),
        ];
        for reason in DropReason::ALL {
            figures.push((self.duel.sum(|stats| stats.dropped(reason)), reason.name()));
        }
        let figures = figures.iter().filter(|(figure, _)| *figure > 0);
        let figures: Vec<_> = figures.map(|(figure, name)| format!("{figure} {name}")).collect();
        Ok(format!("{}; {:?}", figures.join(", "), self.ending))
    }

    /// The end: nothing is written from then on, and nothing was ever written outside of rings and buffers.
    fn close(&mut self) -> Result<(), Error> {
        self.duel.finish();
        let image = Image::of(&self.memory);
        self.send(60);
        let ended = self.duel.poll().0;
        assert_eq!((ended, image.first_difference(&self.memory)), (Ending::Broken, None));
        self.driver.audit()?;
        Ok(())
    }
}
