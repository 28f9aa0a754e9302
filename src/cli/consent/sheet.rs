//! Rows for people and programs: aligned, JSON, JSON lines, or CSV without formulas.

use serde_json::Value;

use crate::audit;
use crate::cli::args::Sheet;

/// The rows under these columns.
pub(super) fn text(rows: &[Value], columns: &[&str], output: Sheet) -> String {
    match output {
        Sheet::Json => format!("{:#}\n", Value::from(rows.to_vec())),
        Sheet::Jsonl => rows.iter().map(|row| format!("{row}\n")).collect(),
        Sheet::Csv => {
            let mut text = csv_line(columns.iter().copied());
            for row in rows {
                text.push_str(&csv_row(row, columns));
            }
            text
        }
        Sheet::Table => aligned(rows, columns),
    }
}

/// One row as a line of CSV.
pub(super) fn csv_row(row: &Value, columns: &[&str]) -> String {
    let cells: Vec<String> = columns.iter().map(|name| cell(row, name)).collect();
    csv_line(cells.iter().map(String::as_str))
}

/// A line of CSV.
pub(super) fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let line = audit::csv_line(&cells.collect::<Vec<_>>());
    String::from_utf8(line).unwrap_or_default()
}

fn aligned(rows: &[Value], columns: &[&str]) -> String {
    let lines: Vec<Vec<String>> =
        std::iter::once(columns.iter().map(|c| c.replace('_', " ")).collect())
            .chain(rows.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect()))
            .collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|n| lines.iter().filter_map(|line| line.get(n)).map(|c| c.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut page = String::new();
    for line in lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        page.push_str(text.trim_end());
        page.push('\n');
    }
    page
}

fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_shown_in_four_ways() {
        let rows = [json!({ "id": "=1+2", "n": 7 }), json!({ "id": "a,b", "n": null })];
        let columns = ["id", "n"];
        assert_eq!(text(&rows, &columns, Sheet::Csv), "id,n\r\n'=1+2,7\r\n\"a,b\",\r\n");
        assert_eq!(text(&rows, &columns, Sheet::Table), "id    n\n=1+2  7\na,b\n");
        assert_eq!(
            text(&rows, &columns, Sheet::Jsonl),
            "{\"id\":\"=1+2\",\"n\":7}\n{\"id\":\"a,b\",\"n\":null}\n"
        );
        assert!(text(&[], &columns, Sheet::Json).starts_with("[]"));
    }
}
