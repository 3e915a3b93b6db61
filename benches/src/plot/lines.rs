//! Time per frame over the frame's size, a line per subject, both axes logarithmic.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::style::{self, GRID, INK, SIZE};
use crate::Result;
use crate::peer::Peer;
use crate::table::figure;

/// Draws the lines; every point is labelled at the lowest and the highest line.
pub(super) fn draw(path: &Path, lines: &[(Peer, Vec<(f64, f64)>)]) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let peers: Vec<Peer> = lines.iter().map(|(peer, _)| *peer).collect();
    let caption = "copying a frame in hand into a split ring of 256 buffers, one thread; both axes logarithmic; lower is better";
    let below = style::head(&area, "Injection: time per frame by frame size", caption, &peers)?;
    let values = || lines.iter().flat_map(|(_, points)| points).map(|(_, y)| *y);
    let low = values().fold(f64::INFINITY, f64::min) / 1.5;
    let high = values().fold(0.0, f64::max) * 1.6;
    let mut chart = ChartBuilder::on(&below)
        .margin_right(40)
        .margin_left(10)
        .margin_bottom(8)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (45.0..90_000.0).log_scale().with_key_points(vec![60.0, 1514.0, 9014.0, 65_000.0]),
            (low..high).log_scale().with_key_points(ticks(low, high)),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(style::MUTED)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| figure(*y).trim_end_matches(".00").trim_end_matches(".0").to_owned())
        .label_style(style::text(13, INK))
        .axis_desc_style(style::text(14, INK))
        .x_desc("frame, bytes")
        .y_desc("ns per frame")
        .draw()?;
    for (peer, points) in lines {
        let colour = style::colour(*peer);
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    let above = style::text(12, INK).pos(Pos::new(HPos::Center, VPos::Bottom));
    let under = style::text(12, INK).pos(Pos::new(HPos::Center, VPos::Top));
    for (best, dy, style) in [(extremes(lines, f64::max), -8, above), (extremes(lines, f64::min), 8, under)] {
        let label = |(x, y)| EmptyElement::at((x, y)) + Text::new(figure(y), (0, dy), style.clone());
        chart.draw_series(best.into_iter().map(label))?;
    }
    Ok(area.present()?)
}

/// At each size, the value that wins over all lines.
fn extremes(lines: &[(Peer, Vec<(f64, f64)>)], wins: fn(f64, f64) -> f64) -> Vec<(f64, f64)> {
    let mut best: Vec<(f64, f64)> = Vec::new();
    for (x, y) in lines.iter().flat_map(|(_, points)| points) {
        match best.iter_mut().find(|(at, _)| at == x) {
            Some((_, value)) => *value = wins(*value, *y),
            None => best.push((*x, *y)),
        }
    }
    best
}

/// 1, 2, 5, 10, ... within the range.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let steps = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade)));
    steps.filter(|tick| (low..=high).contains(tick)).collect()
}
