//! The table on stdout.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::report::{Report, Row};

/// All rows in one table; a bench and a case are named once.
pub(crate) fn render(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["bench", "case", "subject", "median", "quartiles", "unit", "times the others'"]);
    let mut last = None;
    for row in &report.rows {
        let group = (row.bench, row.case.as_str());
        table.add_row(cells(row, last != Some(group)));
        last = Some(group);
    }
    table.to_string()
}

fn cells(row: &Row, first: bool) -> Vec<Cell> {
    let group = |text: &str| Cell::new(if first { text } else { "" });
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let spread = row.spread.map(|(low, high)| format!("{} - {}", figure(low), figure(high)));
    vec![
        group(row.bench),
        group(&row.case),
        Cell::new(row.subject.name()),
        right(figure(row.median)),
        right(spread.unwrap_or_default()),
        Cell::new(&row.unit),
        Cell::new(ratios(row)),
    ]
}

fn ratios(row: &Row) -> String {
    let finite = row.ratios.iter().filter(|(_, ratio)| ratio.is_finite());
    let all: Vec<String> = finite.map(|(to, ratio)| format!("{} {}", digits(*ratio, 3), to.name())).collect();
    all.join(", ")
}

/// Three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    if value == 0.0 { "0".into() } else { digits(value, 2) }
}

/// Three digits, and at most so many behind the point, or three below 1.
fn digits(value: f64, most: usize) -> String {
    let behind = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => most,
        _ => 3,
    };
    format!("{value:.behind$}")
}

#[cfg(test)]
mod tests {
    use super::{digits, figure};

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.0, 0.0625, 1.714, 23.94, 725.4].map(figure), ["0", "0.062", "1.71", "23.9", "725"]);
        assert_eq!([1.0184, 12.34].map(|ratio| digits(ratio, 3)), ["1.018", "12.3"]);
    }
}
