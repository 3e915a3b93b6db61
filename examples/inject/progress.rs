//! The bar that shows how far it is, where somebody is looking.

use std::time::Instant;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::args::Quota;

const FRAMES: &str =
    "{spinner:.green} [{bar:36.green/black}] {percent:>3} %  {human_pos} of {human_len} frames  {msg}";
const TIME: &str = "{spinner:.green} [{bar:36.green/black}] {percent:>3} %  {msg}";

/// A bar on stderr; nothing if that is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    begin: Instant,
    /// It goes by frames, else by time.
    by_frames: bool,
}

impl Progress {
    pub(crate) fn new(quota: Quota, begin: Instant) -> Result<Self> {
        let time = quota.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let len = time.or(quota.frames).unwrap_or(0);
        let bar = ProgressBar::new(len);
        let template = if time.is_none() { FRAMES } else { TIME };
        bar.set_style(ProgressStyle::with_template(template)?.progress_chars("━━╌"));
        Ok(Self { bar, begin, by_frames: time.is_none() })
    }

    /// So many frames have come or were dropped.
    pub(crate) fn show(&self, frames: u64, dropped: u64) {
        let elapsed = self.begin.elapsed();
        let rate = HumanCount((frames as f64 / elapsed.as_secs_f64().max(1e-3)) as u64);
        let dropped = if dropped > 0 { format!("  {} dropped", HumanCount(dropped)) } else { String::new() };
        let position =
            if self.by_frames { frames } else { u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) };
        let count = if self.by_frames { String::new() } else { format!("{} frames  ", HumanCount(frames)) };
        self.bar.set_message(format!("{count}{rate}/s{dropped}"));
        self.bar.set_position(position);
        self.bar.tick();
    }
}

impl Drop for Progress {
    /// Leaves nothing behind.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
