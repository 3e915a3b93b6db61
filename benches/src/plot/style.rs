//! What all plots share: size, type, colours, and the title with its caption.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::peer::Peer;

/// Width and height of a plot.
pub(super) const SIZE: (u32, u32) = (900, 520);

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const MUTED: RGBColor = RGBColor(102, 102, 102);
pub(super) const GRID: RGBColor = RGBColor(222, 222, 222);

/// A canvas, or what is left of it.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A subject's colour.
pub(super) fn colour(peer: Peer) -> RGBColor {
    let (r, g, b) = peer.colour();
    RGBColor(r, g, b)
}

/// Text of this size and colour.
pub(super) fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    TextStyle { color: colour.to_backend_color(), ..("sans-serif", size).into_font().into() }
}

/// The same, centred on its point.
pub(super) fn centred(size: u32, colour: RGBColor, vertical: VPos) -> TextStyle<'static> {
    text(size, colour).pos(Pos::new(HPos::Center, vertical))
}

/// Writes title, caption and the key of subjects, and gives the area below them.
pub(super) fn head<'a>(area: &Area<'a>, title: &str, caption: &str, peers: &[Peer]) -> Result<Area<'a>> {
    area.fill(&WHITE)?;
    area.draw_text(title, &text(22, INK), (24, 16))?;
    area.draw_text(caption, &text(13, MUTED), (24, 46))?;
    let mut x = 24;
    for peer in peers {
        area.draw(&Rectangle::new([(x, 74), (x + 14, 86)], colour(*peer).filled()))?;
        area.draw_text(peer.name(), &text(14, INK), (x + 20, 72))?;
        x += 20 + 7 * peer.name().len() as i32 + 36;
    }
    let (_, below) = area.split_vertically(100);
    Ok(below)
}

/// Each subject once, in the order of its first figure.
pub(super) fn peers_of(all: impl Iterator<Item = Peer>) -> Vec<Peer> {
    let mut peers = Vec::new();
    for peer in all {
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    peers
}
