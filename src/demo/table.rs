//! One record, side by side, as it is stored and as each caller sees it.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::UnicodeWidthChar;
use unicode_width::UnicodeWidthStr;

/// The fields shown, with the heading of each.
const FIELDS: &[(&str, &str)] = &[
    ("/id", "id"),
    ("/name", "name"),
    ("/email", "email"),
    ("/phone", "phone"),
    ("/birthday", "birthday"),
    ("/address/street", "street"),
    ("/address/city", "city"),
    ("/country", "country"),
    ("/national_id", "national_id"),
    ("/health_note", "health_note"),
    ("/cards/0/pan", "cards[0].pan"),
    ("/last_order_at", "last_order_at"),
];

/// The widest a column may be, in terminal cells.
const WIDEST: usize = 18;

/// The table; a column is a heading and the record as that caller got it.
pub(super) fn table(columns: &[(&str, &Value)]) -> String {
    let mut rows: Vec<Vec<String>> = vec![
        std::iter::once(String::new())
            .chain(columns.iter().map(|(heading, _)| (*heading).to_owned()))
            .collect(),
    ];
    for (pointer, name) in FIELDS {
        let cells = columns.iter().map(|(_, record)| cell(record.pointer(pointer)));
        rows.push(std::iter::once((*name).to_owned()).chain(cells).collect());
    }
    layout(&rows)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None => "–".into(),
        Some(Value::String(text)) => shorten(text),
        Some(other) => shorten(&other.to_string()),
    }
}

fn shorten(text: &str) -> String {
    if text.width() <= WIDEST {
        return text.into();
    }
    let mut out = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= WIDEST {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

fn layout(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|c| c.width()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.width());
            // Writing to a String does not fail.
            write!(line, " {cell}{:gap$} ", "").unwrap_or_default();
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let stored =
            json!({ "id": "c-1", "name": "林梅", "email": "a.very.long.address@mail.example" });
        let seen = json!({ "id": "c-1", "name": "林***" });
        let text = table(&[("as stored", &stored), ("support", &seen)]);
        let lines: Vec<&str> = text.lines().take(4).collect();
        assert_eq!(
            lines,
            [
                "                 as stored           support",
                "  id             c-1                 c-1",
                "  name           林梅                林***",
                "  email          a.very.long.addre…  –",
            ]
        );
    }
}
