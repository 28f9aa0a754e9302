//! The matrix for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::Matrix;
use super::matrix::Cell;
use super::words::hex;

impl Matrix<'_> {
    /// The matrix as text: a block for each role, purpose, data set and action, then what the
    /// limits that are named mean.
    pub fn table(&self) -> String {
        let language = self.language;
        let mut text = format!("{} {}\n", language.of("policy", "策略"), hex(&self.policy.hash()));
        let mut legend: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for group in self.groups() {
            let Some(first) = group.first() else { continue };
            let key = &first.row.key;
            let action = language.action(key.action);
            let heading = format!("{} · {} · {} · {action}", first.role, key.purpose, key.data);
            let lines: Vec<[String; 4]> =
                group.iter().flat_map(|cell| self.lines(cell, &mut legend)).collect();
            _ = writeln!(text, "\n{heading}");
            text.push_str(&aligned(&lines));
        }
        if !legend.is_empty() {
            _ = writeln!(text, "\n{}", language.of("limits", "限制"));
            for (id, meanings) in &legend {
                for meaning in meanings {
                    _ = writeln!(text, "  {id}: {meaning}");
                }
            }
        }
        _ = writeln!(text, "\n{}", language.of(CLOSED, CLOSED_ZH));
        text
    }

    /// The cells by role, purpose, data set and action.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunk_by(|a, b| {
            let (one, other) = (&a.row.key, &b.row.key);
            a.role == b.role
                && (&one.purpose, &one.data, one.action)
                    == (&other.purpose, &other.data, other.action)
        })
    }

    fn lines(&self, cell: &Cell, legend: &mut BTreeMap<String, Vec<String>>) -> Vec<[String; 4]> {
        let limits = self.limits(cell);
        let mut ids: Vec<String> = limits.iter().map(|(id, _)| id.to_string()).collect();
        ids.dedup();
        for (id, meaning) in limits {
            let known = legend.entry(id.to_string()).or_default();
            if !known.contains(&meaning) {
                known.push(meaning);
            }
        }
        let offers = self.offers(cell).into_iter().enumerate();
        let lines = offers.map(|(at, (view, conditions))| {
            let first = at == 0;
            let field = if first { cell.field().to_owned() } else { String::new() };
            let limits = if first && !ids.is_empty() {
                format!("[{}]", ids.join(", "))
            } else {
                String::new()
            };
            let conditions = match conditions.is_empty() {
                true => String::new(),
                false => format!(
                    "{} {}",
                    self.language.of("if", "如果"),
                    conditions.join(self.language.of(" and ", " 且 "))
                ),
            };
            [field, view, conditions, limits]
        });
        lines.collect()
    }
}

/// Columns under each other, indented by two.
pub(super) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut written = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let gap = width.saturating_sub(cell.width());
            if width > 0 {
                _ = write!(written, "  {cell}{:gap$}", "");
            }
        }
        _ = writeln!(text, "{}", written.trim_end());
    }
    text
}

/// What holds of all that is not listed.
pub(super) const CLOSED: &str = "What is not listed is refused. A fact that is not known closes: \
     `if` of a limit holds, `unless` does not. People who are erased or unknown are left out.";
pub(super) const CLOSED_ZH: &str = "未列出的一律拒绝。未知的事实按从严处理：限制的 if 视为成立，unless 视为不成立。已删除或无法识别的个人，其记录不返回。";
