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
    let one = |(to, ratio): &(_, f64)| match ratio.is_finite() {
        true => format!("{} {}", figure(*ratio), crate::peer::Peer::name(*to)),
        false => String::new(),
    };
    let all: Vec<String> = row.ratios.iter().map(one).filter(|text| !text.is_empty()).collect();
    all.join(", ")
}

/// Three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.0, 0.0625, 1.714, 23.94, 725.4].map(figure), ["0", "0.06", "1.71", "23.9", "725"]);
    }
}
