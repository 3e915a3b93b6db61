//! What a test disturbs, and a look at how much of that there was.

/// What a test disturbs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Frames in ten thousand that are lost between the ring and the guest's stack.
    pub(crate) lost: u32,
    /// Segments of the guest's in ten thousand that are overtaken by those behind them.
    pub(crate) overtaken: u32,
    /// Times in ten thousand that the guest's application takes a rest, and lets its window shut.
    pub(crate) rests: u32,
}

pub(crate) const CALM: Trouble = Trouble { lost: 0, overtaken: 0, rests: 0 };

/// What there was of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Had {
    /// Frames that came out of the ring.
    pub(crate) frames: u64,
    /// Those of them that were lost.
    pub(crate) lost: u64,
    /// Segments of the guest's that were overtaken by one of the same connection.
    pub(crate) overtaken: u64,
    /// Times that a window shut while its application rested.
    pub(crate) shut: u64,
}

impl Trouble {
    /// Each disturbance was had, and none that was not asked for.
    pub(crate) fn check(&self, had: &Had) {
        assert!(self.is_loss_of(had), "{self:?}, {had:?}");
        assert_eq!(had.overtaken > 0, self.overtaken > 0, "{self:?}, {had:?}");
        assert_eq!(had.shut > 0, self.rests > 0, "{self:?}, {had:?}");
    }

    /// As many frames were lost as were to be, give or take six standard deviations and the one that is lost in any
    /// case.
    fn is_loss_of(&self, had: &Had) -> bool {
        let asked = had.frames as f64 * f64::from(self.lost) / 10_000.0;
        let off = (had.lost as f64 - asked).abs();
        (had.lost > 0) == (self.lost > 0) && off <= 6.0 * asked.sqrt() + 1.0
    }
}
