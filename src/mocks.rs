//! `mockall` mocks of the boundary traits, for consumers' own tests.
//!
//! Each stands for one trait and is told what to expect; `FrameSource` has two, for those who care for all of its methods and
//! for those who do not. For a guest that really receives frames, take the `netrx-mock` crate.
//!
//! ```
//! use netrx::IrqLine;
//! use netrx::mocks::MockIrqLine;
//!
//! let mut line = MockIrqLine::new();
//! line.expect_raise().times(1).returning(|| Ok(()));
//! assert!(line.raise().is_ok());
//! ```

#![allow(unsafe_code, reason = "a mock of an unsafe trait: whoever sets its expectations vouches for them")]
#![allow(missing_docs, reason = "what the macro generates")]

use std::task::Waker;
use std::time::Instant;

use mockall::mock;

use crate::hypervisor::{Hypervisor, HypervisorError, IrqId};
use crate::irq::{IrqError, IrqLine, LevelLine};
use crate::mem::{Gpa, GuestMemory, Region};
use crate::source::{FrameSource, Received, SourceError, Watch, Watched};
use crate::space::RxSpace;

mock! {
    /// A mock of [`IrqLine`].
    pub IrqLine {}
    impl IrqLine for IrqLine {
        fn raise(&mut self) -> Result<(), IrqError>;
    }
}

mock! {
    /// A mock of [`LevelLine`].
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use netrx::IrqLine;
    /// use netrx::mmio::{Discard, MmioDevice, NetConfig};
    /// use netrx::mocks::{MockGuestMemory, MockLevelLine};
    ///
    /// let mut line = MockLevelLine::new();
    /// line.expect_set().withf(|high| *high).times(1).returning(|_| Ok(()));
    /// line.expect_set().withf(|high| !high).times(1).returning(|_| Ok(()));
    ///
    /// let (config, memory) = (NetConfig::new([2, 0, 0, 0, 0, 1]), Arc::new(MockGuestMemory::new()));
    /// let card = MmioDevice::new("vm0-rx", &config, memory, line, Discard::default())?;
    /// card.irq().raise()?;
    /// drop(card);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub LevelLine {}
    impl LevelLine for LevelLine {
        fn set(&self, high: bool) -> Result<(), IrqError>;
    }
}

mock! {
    /// A mock of [`FrameSource`] that leaves `watch` and `starved` as the trait has them, and so needs no expectation for them.
    ///
    /// For one that has, take [`MockFullFrameSource`].
    ///
    /// ```
    /// use netrx::mocks::MockFrameSource;
    /// use netrx::{Features, FrameMeta, Placed, Progress, Received};
    /// use netrx_mock::{DriverConfig, Rig, Shape};
    ///
    /// let mut source = MockFrameSource::new();
    /// source.expect_recv().times(1).returning(|space| {
    ///     assert_eq!(space.put(&[7; 60], FrameMeta::PLAIN), Placed::Delivered);
    ///     Ok(Received::Empty)
    /// });
    ///
    /// let mut rig = Rig::new(DriverConfig::new(16, Features::VERSION_1, Shape::single(2048)))?;
    /// assert_eq!(rig.turn(&mut source)?, (Progress::Idle, vec![vec![7; 60]]));
    /// # Ok::<(), netrx_mock::RigError>(())
    /// ```
    pub FrameSource {}
    impl FrameSource for FrameSource {
        fn recv<'t>(&mut self, space: &mut RxSpace<'t>) -> Result<Received, SourceError>;
        fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError>;
        fn waker(&self) -> Waker;
    }
}

mock! {
    /// A mock of all of [`FrameSource`]: where `watch` and `starved` are called, they need expectations, too.
    ///
    /// ```
    /// use std::task::Waker;
    /// use std::time::Instant;
    ///
    /// use netrx::mocks::{MockFrameSource, MockFullFrameSource};
    /// use netrx::source::{FrameSource, Watch, Watched};
    ///
    /// let mut source = MockFullFrameSource::new();
    /// let soon = Instant::now();
    /// source.expect_watch().times(1).returning(move |watch| {
    ///     watch.until(soon);
    ///     Watched::Yes
    /// });
    /// source.expect_starved().times(1).return_const(());
    ///
    /// let mut watch = Watch::new(Waker::noop());
    /// assert_eq!(source.watch(&mut watch), Watched::Yes);
    /// assert_eq!(watch.deadline(), Some(soon));
    /// source.starved(Waker::noop());
    ///
    /// // Without expectations, these are the trait's own.
    /// let mut plain = MockFrameSource::new();
    /// assert_eq!(plain.watch(&mut Watch::new(Waker::noop())), Watched::No);
    /// plain.starved(Waker::noop());
    /// ```
    pub FullFrameSource {}
    impl FrameSource for FullFrameSource {
        fn recv<'t>(&mut self, space: &mut RxSpace<'t>) -> Result<Received, SourceError>;
        fn wait(&mut self, until: Option<Instant>) -> Result<(), SourceError>;
        fn watch<'w>(&'w mut self, watch: &mut Watch<'w>) -> Watched;
        fn starved(&mut self, waker: &Waker);
        fn waker(&self) -> Waker;
    }
}

mock! {
    /// A mock of [`GuestMemory`]. Its regions last for the whole program, since nothing else keeps them.
    ///
    /// ```
    /// use netrx::mocks::MockGuestMemory;
    /// use netrx::ring::{ConfigError, Cursor, RingConfig, SplitRing};
    /// use netrx::{Features, Gpa};
    ///
    /// let mut memory = MockGuestMemory::new();
    /// memory.expect_region().withf(|at| *at == Gpa(0x1000)).times(1).returning(|_| None);
    ///
    /// let (desc, avail, used) = (Gpa(0x1000), Gpa(0x2000), Gpa(0x3000));
    /// let config = RingConfig { size: 16, desc, avail, used, start: Cursor::default() };
    /// let ring = SplitRing::new(config, Features::VERSION_1, &memory);
    /// assert!(matches!(ring, Err(ConfigError::Ring(_))), "it is not in memory");
    /// ```
    pub GuestMemory {}
    // SAFETY: it answers what its owner told it to, who vouches for the regions.
    unsafe impl GuestMemory for GuestMemory {
        fn region(&self, at: Gpa) -> Option<Region<'static>>;
        fn refresh(&mut self) -> bool;
        fn logs_writes(&self) -> bool;
        fn mark_written(&self, at: Gpa, len: u32);
    }
}

mock! {
    /// A mock of [`Hypervisor`], whose parts are mocks as well.
    ///
    /// ```
    /// use netrx::mocks::{MockGuestMemory, MockHypervisor, MockIrqLine};
    /// use netrx::{HypervisorError, IrqId, RxWorkerSlot};
    ///
    /// let mut machine = MockHypervisor::new();
    /// machine.expect_irq_line().returning(|irq| match irq {
    ///     IrqId(5) => Ok(MockIrqLine::new()),
    ///     other => Err(HypervisorError::NoSuchIrq(other)),
    /// });
    /// machine.expect_memory().times(1).returning(MockGuestMemory::new);
    ///
    /// let slot = RxWorkerSlot::new("vm0-rx");
    /// assert!(slot.deposit_hypervisor(&machine, IrqId(6)).is_err());
    /// slot.deposit_hypervisor(&machine, IrqId(5))?;
    /// # Ok::<(), HypervisorError>(())
    /// ```
    pub Hypervisor {}
    impl Hypervisor for Hypervisor {
        type Memory = MockGuestMemory;
        type Irq = MockIrqLine;
        fn memory(&self) -> MockGuestMemory;
        fn irq_line(&self, irq: IrqId) -> Result<MockIrqLine, HypervisorError>;
        fn exit_vcpus(&self) -> Result<(), HypervisorError>;
    }
}
