//! How the latency of lone frames is distributed: the share of frames interrupted for within a time.

use std::path::Path;

use plotters::prelude::*;

use super::lines::ticks;
use super::style::{self, GRID, INK, SIZE};
use crate::Result;
use crate::peer::Peer;
use crate::rounds::quantile;

/// Draws one curve per subject, with its p50 and p99 marked.
pub(super) fn draw(path: &Path, samples: &[(Peer, Vec<f64>)]) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let peers: Vec<Peer> = samples.iter().map(|(peer, _)| *peer).collect();
    let caption = "from sending a frame to an idle worker thread until its interrupt; dots: p50 and p99; further left is better";
    let below = style::head(&area, "A lone frame: send to interrupt", caption, &peers)?;
    let all = || samples.iter().flat_map(|(_, values)| values).copied();
    let high = all().fold(1.0, f64::max) * 1.3;
    let low = (all().fold(high, f64::min) / 1.3).clamp(0.1, high / 20.0);
    let mut chart = ChartBuilder::on(&below)
        .margin_right(40)
        .margin_left(10)
        .margin_top(10)
        .margin_bottom(8)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d((low..high).log_scale().with_key_points(ticks(low, high)), 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(style::MUTED)
        .x_label_formatter(&|x| x.to_string())
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .y_labels(6)
        .label_style(style::text(13, INK))
        .axis_desc_style(style::text(14, INK))
        .x_desc("microseconds (logarithmic)")
        .y_desc("frames interrupted for")
        .draw()?;
    for (peer, values) in samples {
        let colour = style::colour(*peer);
        chart.draw_series(LineSeries::new(curve(values), colour.stroke_width(2)))?;
        let marks = [50.0, 99.0].map(|share| (quantile(values, share / 100.0), share));
        chart.draw_series(marks.map(|(x, share)| {
            EmptyElement::at((x, share))
                + Circle::new((0, 0), 4, colour.filled())
                + Text::new(format!("{x:.1} us"), (8, 4), style::text(12, INK))
        }))?;
    }
    Ok(area.present()?)
}

/// The curve in 200 steps, with the end that matters in more detail.
fn curve(values: &[f64]) -> impl Iterator<Item = (f64, f64)> + '_ {
    let shares = (0..=200).map(|n| f64::from(n) / 2.0);
    shares.map(|share| (quantile(values, share / 100.0), share))
}
