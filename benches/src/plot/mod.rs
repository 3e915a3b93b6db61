//! The SVG plots: one file per question a reader asks.

mod bars;
mod cdf;
mod lines;
mod style;

use std::path::Path;

use crate::Result;
use crate::peer::Peer;
use crate::report::{Report, Row};

use bars::{Bars, Scale};

/// Sizes of the cases of one buffer per frame, which make the lines over the frame's size.
const SIZES: [(&str, f64); 4] =
    [("60 B", 60.0), ("1514 B", 1514.0), ("9014 B", 9014.0), ("65000 B", 65000.0)];

/// Draws what there are figures for; gives the names of the files.
pub(crate) fn write_all(report: &Report, folder: &Path) -> Result<Vec<&'static str>> {
    let mut written = Vec::new();
    let inject = report.rows_of("inject", "ns/frame");
    if !inject.is_empty() {
        lines::draw(&folder.join("inject.svg"), &by_size(&inject))?;
        bars::draw(&folder.join("inject-ratio.svg"), &ratios(&inject))?;
        written.extend(["inject.svg", "inject-ratio.svg"]);
    }
    let sockets = report.rows_of("socketpair", "ns/frame");
    if !sockets.is_empty() {
        bars::draw(&folder.join("socketpair.svg"), &sockets_bars(&sockets))?;
        written.push("socketpair.svg");
    }
    let irqs = report.rows_of("irqs", "irqs/100k frames");
    if !irqs.is_empty() {
        bars::draw(&folder.join("irqs.svg"), &irq_bars(&irqs))?;
        written.push("irqs.svg");
    }
    if !report.latencies.is_empty() {
        cdf::draw(&folder.join("latency.svg"), &report.latencies)?;
        written.push("latency.svg");
    }
    Ok(written)
}

/// Per subject, its points of frame size and nanoseconds.
fn by_size(rows: &[&Row]) -> Vec<(Peer, Vec<(f64, f64)>)> {
    let mut lines: Vec<(Peer, Vec<(f64, f64)>)> = Vec::new();
    for row in rows {
        let Some((_, size)) = SIZES.iter().find(|(name, _)| *name == row.case) else { continue };
        match lines.iter_mut().find(|(peer, _)| *peer == row.subject) {
            Some((_, points)) => points.push((*size, row.median)),
            None => lines.push((row.subject, vec![(*size, row.median)])),
        }
    }
    lines
}

fn ratios(rows: &[&Row]) -> Bars {
    let to_floor = |row: &&Row| {
        let (_, ratio) = row.ratios.iter().find(|(to, _)| *to == Peer::Floor)?;
        Some((row.case.clone(), row.subject, *ratio))
    };
    Bars {
        title: "Injection: how many times the bare copy",
        caption: "time per frame divided by that of copying header and frame with no ring; split ring of 256; lower is better",
        unit: "times the floor",
        scale: Scale::LogFrom(1.0),
        values: rows.iter().filter_map(to_floor).collect(),
    }
}

fn sockets_bars(rows: &[&Row]) -> Bars {
    Bars {
        title: "Socketpair: reading frames into guest buffers",
        caption: "time per frame of emptying a filled Unix socket; lower is better",
        unit: "ns per frame",
        scale: Scale::Linear,
        values: values(rows),
    }
}

fn irq_bars(rows: &[&Row]) -> Bars {
    Bars {
        title: "Interrupts at full load",
        caption: "interrupts raised per 100,000 frames delivered, driver with EVENT_IDX and NAPI; lower is better",
        unit: "interrupts per 100,000 frames",
        scale: Scale::Linear,
        values: values(rows),
    }
}

fn values(rows: &[&Row]) -> Vec<(String, Peer, f64)> {
    rows.iter().map(|row| (row.case.clone(), row.subject, row.median)).collect()
}
