//! What a run came to: the table, the JSON object.

use std::collections::BTreeMap;
use std::sync::Arc;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{BinaryBytes, HumanCount};
use netrx::DropReason;
use netrx::worker::Report as Worked;
use serde::Serialize;

use crate::args::{Plan, Source};
use crate::guest::Guest;
use crate::latency::{Quantiles, Stamps};
use crate::run::duration;
use crate::verdict;

/// Everything that is left of a run.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    /// Bytes in each of the guest's buffers.
    pub(crate) buffer: usize,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) worked: Worked,
    pub(crate) guest: Guest,
    /// Nothing moved any more, although not all had arrived.
    pub(crate) stuck: bool,
}

/// The figures, as `--json` prints them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    frames_sent: u64,
    frames_delivered: u64,
    frames_corrupted: u64,
    frames_dropped: BTreeMap<&'static str, u64>,
    bytes: u64,
    seconds: f64,
    irqs_raised: u64,
    irqs_suppressed: u64,
    latency_us: Quantiles,
    /// One line for each thing that is not as it should be.
    #[serde(skip)]
    pub(crate) failures: Vec<String>,
    /// What was run, for the table's head.
    #[serde(skip)]
    head: [String; 2],
    /// Where latency ends.
    #[serde(skip)]
    arrival: &'static str,
}

impl Report {
    pub(crate) fn new(run: &Run) -> Self {
        let (desk, stats) = (&run.guest.desk, &run.worked.stats);
        let dropped = DropReason::ALL.map(|reason| (reason.name(), stats.dropped(reason)));
        Self {
            frames_sent: run.stamps.sent(),
            frames_delivered: desk.verifier.arrived(),
            frames_corrupted: desk.verifier.corrupted(),
            frames_dropped: dropped.into(),
            bytes: desk.bytes,
            seconds: duration(&run.stamps, desk.last).as_secs_f64(),
            irqs_raised: stats.irqs_raised,
            irqs_suppressed: stats.irqs_suppressed,
            latency_us: desk.latency.quantiles(),
            failures: verdict::failures(run),
            head: head(run),
            arrival: if run.plan.poll { "seen" } else { "interrupt" },
        }
    }

    /// What there is to say if nothing went wrong.
    pub(crate) fn praise(&self) -> &'static str {
        if self.frames_sent == 0 {
            "No frame was sent."
        } else if self.dropped() == 0 {
            "Every frame arrived, byte for byte and in order."
        } else {
            "Every frame that was not dropped arrived, byte for byte and in order."
        }
    }

    /// The figures, for people.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(self.head.clone());
        table.add_rows([self.frames(), self.speed(), self.interrupts(), self.latency()].concat());
        if let Some(values) = table.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn frames(&self) -> Vec<[String; 2]> {
        let reasons = self.frames_dropped.iter().filter(|(_, frames)| **frames > 0);
        let mut rows =
            vec![row("frames sent", count(self.frames_sent)), row("delivered", count(self.frames_delivered))];
        rows.extend(reasons.map(|(reason, frames)| row(format!("dropped, {reason}"), count(*frames))));
        if self.dropped() == 0 {
            rows.push(row("dropped", count(0)));
        }
        rows.push(row("corrupted", count(self.frames_corrupted)));
        rows
    }

    fn speed(&self) -> Vec<[String; 2]> {
        let per_second = |amount: u64| amount as f64 / self.seconds.max(1e-9);
        vec![
            row("bytes delivered", BinaryBytes(self.bytes)),
            row("time", format!("{:.3} s", self.seconds)),
            row("rate", format!("{} frames/s", count(per_second(self.frames_delivered) as u64))),
            row("", format!("{:.2} Gbit/s", per_second(self.bytes) * 8e-9)),
        ]
    }

    fn interrupts(&self) -> Vec<[String; 2]> {
        let (raised, suppressed) = (count(self.irqs_raised), count(self.irqs_suppressed));
        vec![row("interrupts raised", raised), row("interrupts suppressed", suppressed)]
    }

    fn latency(&self) -> Vec<[String; 2]> {
        let Quantiles { p50, p99, max } = self.latency_us;
        let micros =
            |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1} µs"));
        let name = format!("latency, send to {}, ", self.arrival);
        let blank = " ".repeat(name.len());
        vec![
            row(format!("{name}p50"), micros(p50)),
            row(format!("{blank}p99"), micros(p99)),
            row(format!("{blank}max"), micros(max)),
        ]
    }

    fn dropped(&self) -> u64 {
        self.frames_dropped.values().sum()
    }
}

fn row(name: impl ToString, value: impl ToString) -> [String; 2] {
    [name.to_string(), value.to_string()]
}

fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// The source, and the ring.
fn head(run: &Run) -> [String; 2] {
    let source = match run.plan.source {
        Source::Socketpair => "socketpair",
        Source::Channel => "channel",
        Source::Pcap => "pcap",
    };
    let merged = if run.plan.mrg { ", merged" } else { "" };
    [source.to_owned(), format!("ring of {} × {} B{merged}", run.plan.ring, count(run.buffer as u64))]
}
