//! What was measured: figures for `report.json` and the table, samples for the plots.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::peer::Peer;
use crate::rounds::{Series, quantile};

/// One figure of `report.json`.
#[derive(Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) bench: &'static str,
    pub(crate) case: String,
    pub(crate) subject: Peer,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// One line of the table: a figure, its spread over the rounds, and how it stands to the others.
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) case: String,
    pub(crate) subject: Peer,
    pub(crate) median: f64,
    pub(crate) spread: Option<(f64, f64)>,
    pub(crate) unit: String,
    pub(crate) ratios: Vec<(Peer, f64)>,
}

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// Every latency of a lone frame, in microseconds.
    pub(crate) latencies: Vec<(Peer, Vec<f64>)>,
}

impl Report {
    /// Adds a case's figures: per subject the median over the rounds and its ratio to every other subject.
    pub(crate) fn add(&mut self, bench: &'static str, case: &str, unit: &str, series: &[Series]) {
        for own in series {
            let others = series.iter().filter(|other| other.peer != own.peer);
            let spread = (quantile(&own.values, 0.25), quantile(&own.values, 0.75));
            self.rows.push(Row {
                bench,
                case: case.into(),
                subject: own.peer,
                median: own.median(),
                spread: (own.values.len() > 1).then_some(spread),
                unit: unit.into(),
                ratios: others.map(|other| (other.peer, own.ratio_to(other))).collect(),
            });
        }
    }

    /// The rows of one bench and unit, in the order they were measured.
    pub(crate) fn rows_of(&self, bench: &str, unit: &str) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.bench == bench && row.unit == unit).collect()
    }

    /// Writes the list of entries.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let entries: Vec<Entry> = self.rows.iter().flat_map(Row::entries).collect();
        serde_json::to_writer_pretty(&mut file, &entries)?;
        writeln!(file)?;
        Ok(file.flush()?)
    }
}

impl Row {
    /// The figure itself, its quartiles, and each ratio under a unit that says to whom.
    fn entries(&self) -> Vec<Entry> {
        let entry = |value, unit: String| Entry {
            bench: self.bench,
            case: self.case.clone(),
            subject: self.subject,
            value,
            unit,
        };
        let mut entries = vec![entry(self.median, self.unit.clone())];
        if let Some((low, high)) = self.spread {
            entries.push(entry(low, format!("{}, lower quartile", self.unit)));
            entries.push(entry(high, format!("{}, upper quartile", self.unit)));
        }
        let finite = self.ratios.iter().filter(|(_, ratio)| ratio.is_finite());
        entries.extend(
            finite.map(|(to, ratio)| entry(*ratio, format!("{}, ratio to {}", self.unit, to.name()))),
        );
        entries
    }
}
