//! TOML into the same tree of places.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use crate::types::Faults;
use crate::types::Place;
use crate::types::SourceFile;

use super::Entry;
use super::MAX_DEPTH;
use super::Node;
use super::Value;
use super::screen::place;
use super::screen::screen;
use super::screen::screen_decoded;

/// Reads a TOML file. Reports every fault; `None` when there is no tree to go on with.
#[expect(clippy::needless_pass_by_value, reason = "every node of the tree holds the file")]
pub fn toml(file: Arc<SourceFile>, faults: &mut Faults) -> Option<Node> {
    if !screen(&file, faults) || nests_too_deep(&file, faults) {
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    let (mut broken, mut shown) = (false, 0_usize);
    for error in errors {
        let at = place(&file, error.span().unwrap_or(0..0));
        // A doubled key leaves a whole tree; anything else leaves holes that would be reported as
        // missing keys.
        let doubled = error.message() == "duplicate key";
        broken |= !doubled;
        // One slip often breaks several rules, and a hidden character was reported before.
        let overlaps = |known: &Place| {
            Arc::ptr_eq(&known.file, &file)
                && known.span.start <= at.span.end
                && at.span.start <= known.span.end
        };
        shown += 1;
        if shown > MAX_SHOWN
            || faults.iter().any(|fault| fault.place.as_ref().is_some_and(overlaps))
        {
            continue;
        }
        let at = at.first_line();
        if doubled {
            let word = file.text.get(at.span.clone()).unwrap_or_default();
            let what = format!("`{word}` stands in this table twice");
            faults.error(&at, what, "remove one of them");
        } else {
            faults.error(&at, format!("this is no TOML: {}", error.message()), "");
        }
    }
    if broken {
        return None;
    }
    let span = table.span();
    let value = Spanned::new(span, DeValue::Table(table.into_inner()));
    Some(convert(&file, value, 0, faults))
}

/// Turns one value into a node. `depth` is bounded by [`nests_too_deep`] and by [`MAX_DEPTH`].
fn convert(
    file: &Arc<SourceFile>,
    value: Spanned<DeValue<'_>>,
    depth: usize,
    faults: &mut Faults,
) -> Node {
    let at = place(file, value.span());
    let too_deep = |faults: &mut Faults| {
        let what = format!("values nest deeper than {MAX_DEPTH} here");
        faults.error(&at.first_line(), what, "");
        Value::Null
    };
    let value = match value.into_inner() {
        DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => too_deep(faults),
        DeValue::Array(items) => Value::List(
            items.into_iter().map(|item| convert(file, item, depth + 1, faults)).collect(),
        ),
        DeValue::Table(table) => Value::Map(entries(file, table, depth, faults)),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(moment) => Value::Text(moment.to_string().into()),
        DeValue::Float(number) => Value::Number(number.as_str().into()),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            Value::Number(decimal.map_or_else(|_| number.to_string(), |n| n.to_string()).into())
        }
        DeValue::String(text) => {
            screen_decoded(&text, &at, faults);
            Value::Text(text.into())
        }
    };
    Node { place: at, value }
}

/// The entries of a table, in the order written.
fn entries(
    file: &Arc<SourceFile>,
    table: DeTable<'_>,
    depth: usize,
    faults: &mut Faults,
) -> Vec<Entry> {
    let mut found: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let key_place = place(file, key.span());
            let key: Box<str> = key.into_inner().into();
            screen_decoded(&key, &key_place, faults);
            if key.is_empty() {
                faults.error(&key_place, "a key is empty", "");
            }
            Entry { key, key_place, node: convert(file, value, depth + 1, faults) }
        })
        .collect();
    found.sort_by_key(|entry| entry.key_place.span.start);
    found
}

/// Reports brackets and dotted keys that nest too deep. This looks at tokens, before there is a
/// tree: a tree is freed by recursion, which a deep one would take through the end of the stack.
fn nests_too_deep(file: &Arc<SourceFile>, faults: &mut Faults) -> bool {
    let (mut brackets, mut dots) = (0_usize, 0_usize);
    for token in Source::new(&file.text).lex() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                brackets += 1;
                dots = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                brackets = brackets.saturating_sub(1);
                dots = 0;
            }
            TokenKind::Dot => dots += 1,
            TokenKind::Comma | TokenKind::Equals | TokenKind::Newline => dots = 0,
            _ => {}
        }
        if brackets > MAX_DEPTH || dots > MAX_DEPTH {
            let span = token.span();
            let what = format!("values nest deeper than {MAX_DEPTH} here");
            faults.error(&place(file, span.start()..span.end()), what, "");
            return true;
        }
    }
    false
}

/// More syntax errors than this in one file say nothing new.
const MAX_SHOWN: usize = 50;
