//! Bars in groups: a group per case, a bar per subject, its value above it.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::lines::ticks;
use super::style::{self, Area, GRID, INK, MUTED, SIZE};
use crate::Result;
use crate::peer::Peer;
use crate::table::figure;

/// How values become heights.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// From 0.
    Linear,
    /// Logarithmic, from this value.
    LogFrom(f64),
}

/// What to draw.
pub(super) struct Bars {
    pub(super) title: &'static str,
    pub(super) caption: &'static str,
    pub(super) unit: &'static str,
    pub(super) scale: Scale,
    /// Case, subject, value; cases in the order of their first value.
    pub(super) values: Vec<(String, Peer, f64)>,
}

/// Pixels around the bars.
const LEFT: i32 = 80;
const RIGHT: i32 = 24;
const TOP: i32 = 24;
const BOTTOM: i32 = 44;

/// The rectangle of the bars, and the values at its bottom and top.
struct Frame {
    width: i32,
    height: i32,
    scale: Scale,
    top: f64,
}

/// Draws the bars.
pub(super) fn draw(path: &Path, bars: &Bars) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let peers = style::peers_of(bars.values.iter().map(|(_, peer, _)| *peer));
    let below = style::head(&area, bars.title, bars.caption, &peers)?;
    let (width, height) = below.dim_in_pixel();
    let frame = Frame {
        width: width as i32 - LEFT - RIGHT,
        height: height as i32 - TOP - BOTTOM,
        scale: bars.scale,
        top: bars.values.iter().map(|(_, _, value)| *value).fold(0.0, f64::max) * 1.08,
    };
    draw_axis(&below, &frame, bars.unit)?;
    let mut cases: Vec<&str> = bars.values.iter().map(|(case, ..)| case.as_str()).collect();
    cases.dedup();
    let group = frame.width / cases.len().max(1) as i32;
    let bar = (group * 8 / 10 / peers.len().max(1) as i32).min(60);
    for (at, case) in (0..).zip(&cases) {
        let members: Vec<(Peer, f64)> =
            bars.values.iter().filter(|v| v.0 == *case).map(|v| (v.1, v.2)).collect();
        draw_group(&below, &frame, Slot { left: LEFT + at * group, width: group, bar }, case, &members)?;
    }
    Ok(area.present()?)
}

impl Frame {
    /// The height above the bottom, in pixels, at which a value lies.
    fn rise(&self, value: f64) -> i32 {
        let share = match self.scale {
            Scale::Linear => value / self.top,
            Scale::LogFrom(from) => (value / from).ln() / (self.top / from).ln(),
        };
        (share.clamp(0.0, 1.0) * f64::from(self.height)) as i32
    }

    fn y(&self, value: f64) -> i32 {
        TOP + self.height - self.rise(value)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::LogFrom(from) => ticks(from, self.top),
            Scale::Linear => {
                let step = ticks(self.top / 10.0, self.top).into_iter().find(|step| self.top / step < 8.0);
                let step = step.unwrap_or(1.0);
                (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= self.top).collect()
            }
        }
    }
}

fn draw_axis(area: &Area<'_>, frame: &Frame, unit: &str) -> Result<()> {
    let right = LEFT + frame.width;
    for tick in frame.ticks() {
        let y = frame.y(tick);
        area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], GRID))?;
        let label = style::text(13, INK).pos(Pos::new(HPos::Right, VPos::Center));
        let number = if tick >= 1.0 { format!("{tick:.0}") } else { figure(tick) };
        area.draw_text(&number, &label, (LEFT - 8, y))?;
    }
    let turned = style::centred(14, INK, VPos::Top).transform(FontTransform::Rotate270);
    area.draw_text(unit, &turned, (14, TOP + frame.height / 2))?;
    let floor = TOP + frame.height;
    area.draw(&PathElement::new(vec![(LEFT, floor), (right, floor)], MUTED))?;
    Ok(())
}

/// Where a group goes, and how wide its bars are.
struct Slot {
    left: i32,
    width: i32,
    bar: i32,
}

fn draw_group(area: &Area<'_>, frame: &Frame, slot: Slot, case: &str, members: &[(Peer, f64)]) -> Result<()> {
    let Slot { left, width, bar } = slot;
    let start = left + (width - bar * members.len() as i32) / 2;
    let floor = TOP + frame.height;
    for (at, (peer, value)) in (0..).zip(members) {
        let (x, y) = (start + at * bar, frame.y(*value));
        area.draw(&Rectangle::new([(x + 1, y), (x + bar - 1, floor)], style::colour(*peer).filled()))?;
        area.draw_text(&figure(*value), &style::centred(11, INK, VPos::Bottom), (x + bar / 2, y - 3))?;
    }
    area.draw_text(case, &style::centred(13, INK, VPos::Top), (left + width / 2, floor + 10))?;
    Ok(())
}
