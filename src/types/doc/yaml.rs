//! YAML into a tree of places.
//!
//! The accepted language is small: one document of maps with text keys, lists and scalars.
//! Anchors, aliases, tags, merge keys and directives are faults, since what they make a reader
//! believe and what a parser reads come apart.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::Event;
use granit_parser::Parser;
use granit_parser::ScalarStyle;
use granit_parser::ScanError;
use granit_parser::Span;

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

/// Reads a YAML file. Reports every fault; `None` when there is no tree to go on with: the file
/// is empty, too long or no YAML.
#[expect(clippy::needless_pass_by_value, reason = "every node of the tree holds the file")]
pub fn yaml(file: Arc<SourceFile>, faults: &mut Faults) -> Option<Node> {
    if !screen(&file, faults) {
        return None;
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
    };
    let mut builder = Builder { file: &file, faults, open: Vec::new(), too_deep: 0, root: None };
    for next in Parser::new_from_str_with_options(&file.text, options) {
        match next {
            Ok((Event::DocumentStart(..), span)) if builder.root.is_some() => {
                let what = "a second document starts here";
                builder.fault(&span, what, "put it in a file of its own");
                break;
            }
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => {
                builder.syntax(&error);
                return None;
            }
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        faults.error(&place(&file, 0..0), "the file is empty", "");
    }
    root
}

/// Turns parse events into nodes, without recursion.
struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    faults: &'a mut Faults,
    open: Vec<Open>,
    /// Collections open below [`MAX_DEPTH`]; what is in them is not kept.
    too_deep: usize,
    root: Option<Node>,
}

/// A collection whose end has not come yet.
enum Open {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<Entry>, seen: HashSet<Box<str>>, key: Key },
}

/// What a map waits for.
enum Key {
    /// A key.
    Awaited,
    /// The value of this key.
    Named(Box<str>, Place),
    /// The value of a key that was reported: it is thrown away.
    Refused,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) {
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.scalar(&text, style, span);
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let start = self.range(span).start;
                self.enter(Open::List { start, items: Vec::new() }, span);
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let (entries, seen, key) = (Vec::new(), HashSet::new(), Key::Awaited);
                let start = self.range(span).start;
                self.enter(Open::Map { start, entries, seen, key }, span);
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(span),
            Event::Anchor(_, name) => {
                self.fault(span, &format!("anchor `{name}` is not allowed"), "remove it");
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.fault(span, "an alias is not allowed", "write the value out, or quote it");
                let place = self.place(span);
                self.add(Node { place, value: Value::Null }, false);
            }
            _ => {}
        }
    }

    fn enter(&mut self, open: Open, span: &Span) {
        if self.too_deep > 0 || self.open.len() >= MAX_DEPTH {
            if self.too_deep == 0 {
                let what = format!("values nest deeper than {MAX_DEPTH} here");
                self.fault(span, &what, "");
            }
            self.too_deep += 1;
        } else {
            self.open.push(open);
        }
    }

    fn leave(&mut self, span: &Span) {
        let end = self.range(span).end;
        if self.too_deep > 0 {
            self.too_deep -= 1;
            if self.too_deep == 0 {
                let place = self.place(span);
                self.add(Node { place, value: Value::Null }, false);
            }
            return;
        }
        let (start, value) = match self.open.pop() {
            Some(Open::List { start, items }) => (start, Value::List(items)),
            Some(Open::Map { start, entries, .. }) => (start, Value::Map(entries)),
            None => return,
        };
        self.add(Node { place: place(self.file, start..end), value }, false);
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) {
        if self.too_deep > 0 {
            return;
        }
        let place = self.place(span);
        screen_decoded(text, &place, self.faults);
        let plain = style == ScalarStyle::Plain;
        if matches!(self.open.last(), Some(Open::Map { key: Key::Awaited, .. })) {
            return self.key(text, plain, place);
        }
        let value = match text {
            "true" if plain => Value::Bool(true),
            "false" if plain => Value::Bool(false),
            "" | "~" | "null" if plain => Value::Null,
            _ if plain && is_number(text) => Value::Number(text.into()),
            _ => Value::Text(text.into()),
        };
        self.add(Node { place, value }, true);
    }

    fn key(&mut self, text: &str, plain: bool, place: Place) {
        let Some(Open::Map { seen, key, .. }) = self.open.last_mut() else { return };
        *key = Key::Refused;
        if text.is_empty() {
            self.faults.error(&place, "a key is empty", "");
        } else if plain && text == "<<" {
            self.faults.error(&place, "a merge key is not allowed", "write the values out");
        } else if !seen.insert(text.into()) {
            let what = format!("`{text}` stands in this map twice");
            self.faults.error(&place.first_line(), what, "remove one of them");
        } else {
            *key = Key::Named(text.into(), place);
        }
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, scalar: bool) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match std::mem::replace(key, Key::Awaited) {
                Key::Named(key, key_place) => entries.push(Entry { key, key_place, node }),
                Key::Refused => {}
                Key::Awaited => {
                    *key = Key::Refused;
                    if !scalar {
                        let what = "a key is text, not a list or a map";
                        self.faults.error(&node.place.first_line(), what, "");
                    }
                }
            },
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Span) {
        if tagged {
            let at = span.tag_span().unwrap_or(*span);
            self.fault(&at, "a tag is not allowed", "remove it, or put the text in quotes");
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = error.marker().byte_offset().unwrap_or_default();
        let place = place(self.file, at..at);
        let known = self.faults.iter().any(|fault| {
            fault.place.as_ref().is_some_and(|known| {
                Arc::ptr_eq(&known.file, self.file) && known.span.start == place.span.start
            })
        });
        if !known {
            self.faults.error(&place, format!("this is no YAML: {}", error.info()), "");
        }
    }

    fn fault(&mut self, span: &Span, what: &str, help: &str) {
        let place = self.place(span).first_line();
        self.faults.error(&place, what, help);
    }

    fn place(&self, span: &Span) -> Place {
        place(self.file, self.range(span))
    }

    fn range(&self, span: &Span) -> Range<usize> {
        span.byte_range().unwrap_or(0..0)
    }
}

/// Whether a plain scalar is a JSON number. Others (`010`, `0x1F`, `1_000`, `.5`) stay text: their
/// meaning differs between YAML readers.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
