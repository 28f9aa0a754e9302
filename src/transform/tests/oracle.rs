//! The rewriter beside an evaluator written without it, on generated answers and every cut.
//!
//! The oracle walks raw JSON values by path texts; it shares no code with the rewriter.

use super::*;
use crate::catalog::DataSet;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use crate::types::FieldPath;
use proptest::prelude::*;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;
use std::fmt;

pub(super) const FIELDS: &[(&str, bool)] = &[
    ("id", false),
    ("name", false),
    ("email", false),
    ("born", false),
    ("count", false),
    ("gone", false),
    ("whole", true),
    ("address.city", false),
    ("address.street", false),
    ("address.geo.lat", false),
    ("cards[*].pan", false),
    ("cards[*].notes", false),
    ("tags[*]", false),
    ("grid[*][*].v", false),
    ("née \"q\"", false),
];

/// Members of an object in their order, values unread.
pub(super) struct Members(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

struct Oracle<'a> {
    set: &'a DataSet,
    views: &'a [View],
}

impl Oracle<'_> {
    pub(super) fn view(&self, path: &str) -> Option<(View, bool)> {
        let field = self.set.find(&FieldPath::parse(path).ok()?)?;
        Some((self.views[field.index()], self.set.get(field)?.whole))
    }

    fn any_below(&self, start: &str, test: impl Fn(View) -> bool) -> bool {
        self.set
            .fields
            .iter()
            .zip(self.views)
            .any(|(field, view)| field.path.as_str().starts_with(start) && test(*view))
    }

    fn shown(view: View) -> bool {
        !matches!(view, View::Drop | View::Ciphertext)
    }

    /// What becomes of `value` at `path`; `None`: nothing.
    fn value(&self, path: &str, value: &str) -> Option<String> {
        let leaf = self.view(path);
        match value.as_bytes()[0] {
            b'{' => {
                let start = if path.is_empty() { String::new() } else { format!("{path}.") };
                if self.any_below(&start, |_| true) {
                    if !path.is_empty() && !self.any_below(&start, Self::shown) {
                        return None;
                    }
                    return Some(self.members(&start, value));
                }
                self.whole(leaf?, value)
            }
            b'[' => {
                let item = format!("{path}[*]");
                if self.any_below(&item, |_| true) {
                    if !self.any_below(&item, Self::shown) {
                        return None;
                    }
                    return Some(self.items(value, |text| self.value(&item, text)));
                }
                match leaf? {
                    (_, true) => self.whole(leaf?, value),
                    (view, _) if !Self::shown(view) => None,
                    (view, _) => Some(self.items(value, |text| match text.as_bytes()[0] {
                        b'{' | b'[' => None,
                        _ => self.scalar(path, view, text),
                    })),
                }
            }
            b'n' if leaf.is_none() => {
                let below = |end: &str| self.any_below(&format!("{path}{end}"), Self::shown);
                (below(".") || below("[*]")).then(|| "null".into())
            }
            _ => self.scalar(path, leaf?.0, value),
        }
    }

    fn members(&self, start: &str, value: &str) -> String {
        let Members(members) = serde_json::from_str(value).unwrap();
        let written: Vec<String> = members
            .iter()
            .filter_map(|(name, value)| {
                // A dot or bracket in a name is no step of a path.
                let is_name = !name.is_empty() && !name.contains(['.', '[', ']']);
                let written =
                    is_name.then(|| self.value(&format!("{start}{name}"), value.get()))??;
                Some(format!("{}:{written}", serde_json::to_string(name).unwrap()))
            })
            .collect();
        format!("{{{}}}", written.join(","))
    }

    fn items(&self, value: &str, item: impl Fn(&str) -> Option<String>) -> String {
        let items: Vec<Box<RawValue>> = serde_json::from_str(value).unwrap();
        let written: Vec<String> = items.iter().filter_map(|value| item(value.get())).collect();
        format!("[{}]", written.join(","))
    }

    fn whole(&self, (view, is_whole): (View, bool), value: &str) -> Option<String> {
        match view {
            View::Show | View::Generalize(Generalize::Part) if is_whole => Some(value.into()),
            View::Mask(_) if is_whole => Some("\"***\"".into()),
            _ => None,
        }
    }

    fn scalar(&self, path: &str, view: View, value: &str) -> Option<String> {
        let quote = |text: &str| serde_json::to_string(text).unwrap();
        let text = match value.as_bytes()[0] {
            b'"' => serde_json::from_str(value).unwrap(),
            _ => value.to_owned(),
        };
        let chars: Vec<char> = text.chars().collect();
        match view {
            View::Drop | View::Ciphertext => None,
            View::Show | View::Generalize(Generalize::Part) => Some(value.into()),
            _ if value == "null" => Some(value.into()),
            View::Mask(_) if value == "true" || value == "false" => Some("\"***\"".into()),
            View::Mask(mask) => {
                let (kept, size) =
                    (usize::from(mask.keep_first) + usize::from(mask.keep_last), chars.len());
                if size < kept + 2 {
                    return Some("\"***\"".into());
                }
                let head: String = chars[..usize::from(mask.keep_first)].iter().collect();
                let tail: String = chars[size - usize::from(mask.keep_last)..].iter().collect();
                Some(quote(&format!("{head}***{tail}")))
            }
            View::Pseudonymize(_) => {
                let kind = if path == "id" { "subject:person" } else { "user.contact.email" };
                let mut token = Vec::new();
                Reversal.write(kind, text.as_bytes(), &mut token);
                Some(quote(std::str::from_utf8(&token).unwrap()))
            }
            View::Generalize(Generalize::Date(part)) => {
                let date: jiff::civil::Date =
                    (value.starts_with('"') && text.len() == 10).then(|| text.parse().ok())??;
                Some(match part {
                    DatePart::Year => format!("\"{:04}\"", date.year()),
                    DatePart::Month => format!("\"{:04}-{:02}\"", date.year(), date.month()),
                })
            }
            View::Generalize(Generalize::Number { step }) => {
                let is_plain = !value.starts_with('"') && !value.contains(['e', 'E']);
                let number: i128 = match value.split_once('.') {
                    // Generated fractions are small, so a float is exact.
                    Some(_) if is_plain => {
                        format!("{}", value.parse::<f64>().ok()?.floor()).parse().ok()?
                    }
                    _ => is_plain.then(|| value.parse().ok())??,
                };
                let step = i128::from(step);
                Some((number.div_euclid(step) * step).to_string())
            }
        }
    }
}

/// The tokens the fuzz harness writes.
struct Reversal;

impl Reversal {
    fn write(&self, _kind: &str, value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"ps1_");
        out.extend(value.iter().rev().map(|byte| b'a' + byte % 26));
    }
}

/// A source of choices made from one number, so that a failure is one number.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", "", "", "", " ", "\n", "\t", "\r\n  "])
    }

    pub(super) fn view(&mut self) -> View {
        let mask = Mask {
            keep_first: u8::try_from(self.roll(3)).unwrap(),
            keep_last: u8::try_from(self.roll(5)).unwrap(),
            keep_domain: false,
        };
        self.pick(&[
            View::Show,
            View::Show,
            View::Show,
            View::Mask(mask),
            View::TOKEN,
            View::Drop,
            View::Ciphertext,
            View::Generalize(Generalize::Date(DatePart::Year)),
            View::Generalize(Generalize::Date(DatePart::Month)),
            View::Generalize(Generalize::Number { step: 7 }),
            View::Generalize(Generalize::Part),
        ])
    }

    /// A string, some of its characters escaped.
    pub(super) fn string(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            let must = c < ' ' || c == '"' || c == '\\';
            if must || self.roll(9) == 0 {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(c);
            }
        }
        out + "\""
    }

    pub(super) fn value(&mut self, depth: usize) -> String {
        match self.roll(if depth > 2 { 9 } else { 13 }) {
            0 => self.pick(&["null", "true", "false"]).into(),
            1..=3 => self
                .pick(&[
                    "0",
                    "-0",
                    "7",
                    "-15",
                    "1234567",
                    "1e400",
                    "-1.5E+3",
                    "0.10",
                    "-0.10",
                    "-14.0",
                    "98765432109876543210",
                ])
                .into(),
            4..=8 => {
                let text = self.pick(&[
                    "",
                    "a",
                    "Ana Ruiz",
                    "ana@mail.example",
                    "1988-10-09",
                    "2024-02-30",
                    "+447700900199",
                    "吉祥如意",
                    "😀é\u{0}\n\"\\/",
                    "a text of more than forty bytes so that the long scan runs 0123456789",
                    "\u{2028}\u{feff}",
                ]);
                self.string(text)
            }
            9 | 10 => {
                let count = self.roll(4);
                let items: Vec<String> = (0..count)
                    .map(|_| format!("{}{}{}", self.space(), self.value(depth + 1), self.space()))
                    .collect();
                format!("[{}{}]", items.join(","), self.space())
            }
            _ => self.object(depth + 1),
        }
    }

    pub(super) fn object(&mut self, depth: usize) -> String {
        let mut names = vec![
            "id",
            "name",
            "email",
            "born",
            "count",
            "gone",
            "whole",
            "address",
            "city",
            "street",
            "geo",
            "lat",
            "cards",
            "pan",
            "notes",
            "tags",
            "grid",
            "v",
            "née \"q\"",
            "EMAIL",
            "x",
            "",
            "cards[*]",
            "address.city",
            "a name that is not listed",
        ];
        let mut members = Vec::new();
        for _ in 0..self.roll(if depth == 0 { 12 } else { 5 }) {
            let name = names.remove(self.roll(names.len()));
            let name = self.string(name);
            members.push(format!(
                "{}{name}{}:{}{}{}",
                self.space(),
                self.space(),
                self.space(),
                self.value(depth),
                self.space()
            ));
        }
        format!("{{{}{}}}", members.join(","), self.space())
    }
}

/// An answer, what the oracle makes of its records, and how to read it.
fn answer(dice: &mut Dice, oracle: &Oracle<'_>) -> (Format, Selector, String, String) {
    let is_line = dice.roll(4) == 0;
    let records: Vec<String> = (0..dice.roll(5)).map(|_| dice.object(0)).collect();
    // A line holds a record without line breaks, which generated strings escape.
    let records: Vec<String> = records
        .iter()
        .map(|r| if is_line { r.replace(['\n', '\r'], " ") } else { r.clone() })
        .collect();
    let written: Vec<String> =
        records.iter().map(|record| oracle.value("", record).unwrap()).collect();
    let each = Records::Each;
    if is_line {
        let lines: String = written.iter().map(|line| format!("{line}\n")).collect();
        return (Format::Ndjson, selector(&[], each), records.join("\n"), lines);
    }
    let (array, written) = (
        format!("[{}]", records.join(dice.pick(&[",", " ,\n "]))),
        format!("[{}]", written.join(",")),
    );
    let beside = dice.value(2);
    match dice.roll(3) {
        0 => (Format::Json, selector(&[], each), array, written),
        1 => (
            Format::Json,
            selector(&["items"], each),
            format!("{{\"x\":{beside}, \"items\" : {array} ,\"y\":{beside}}}"),
            format!("{{\"items\":{written}}}"),
        ),
        _ => (
            Format::Json,
            selector(&["data", "items"], each),
            format!("\n{{\"items\":{beside},\"data\":{{\"x\":{beside},\"items\":{array}}}}}\n"),
            format!("{{\"data\":{{\"items\":{written}}}}}"),
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_cut_of_every_answer_gives_what_the_oracle_says(seed: u64) {
        let set = fuzz::data_set(FIELDS).unwrap();
        let mut dice = Dice(seed);
        let views: Vec<View> = FIELDS.iter().map(|_| dice.view()).collect();
        let oracle = Oracle { set: &set, views: &views };
        let (format, selector, text, expected) = answer(&mut dice, &oracle);
        let shape = Arc::new(Shape::new(&set));
        let case = fuzz::Case { format, selector: &selector, shape: &shape, views: &views, widest: &views };
        let run = |cut: usize| {
            let (start, end) = text.as_bytes().split_at(cut);
            case.rewrite([start, end].into_iter()).map(|out| String::from_utf8(out).unwrap())
        };
        let expected = Ok(expected);
        prop_assert_eq!(&run(0), &expected, "{}", text);
        for cut in 1..text.len() {
            prop_assert_eq!(&run(cut), &expected, "cut at {} of {}", cut, text);
        }
        let bytes = case.rewrite(text.as_bytes().chunks(1)).unwrap();
        prop_assert_eq!(Ok(String::from_utf8(bytes).unwrap()), expected);
    }

    #[test]
    fn a_damaged_answer_fails_alike_however_it_is_cut(seed: u64, place: prop::sample::Index, byte: u8) {
        let set = fuzz::data_set(FIELDS).unwrap();
        let mut dice = Dice(seed);
        let views: Vec<View> = FIELDS.iter().map(|_| dice.view()).collect();
        let (format, selector, text, _) = answer(&mut dice, &Oracle { set: &set, views: &views });
        let mut text = text.into_bytes();
        if !text.is_empty() {
            let at = place.index(text.len());
            if byte % 2 == 0 { text[at] = byte / 2; } else { text.remove(at); }
        }
        let shape = Arc::new(Shape::new(&set));
        let case = fuzz::Case { format, selector: &selector, shape: &shape, views: &views, widest: &views };
        let whole = case.rewrite(std::iter::once(text.as_slice()));
        for size in [1, 2, 3, 7, 64] {
            prop_assert_eq!(case.rewrite(text.chunks(size)), whole.clone(), "pieces of {}", size);
        }
        let out = whole.unwrap_or_default();
        let is_json = |text: &[u8]| text.is_empty() || validate(text).is_ok();
        match format {
            Format::Json => prop_assert!(is_json(&out)),
            Format::Csv | Format::Ndjson => prop_assert!(out.split(|byte| *byte == b'\n').all(is_json)),
        }
    }

    #[test]
    fn the_fuzz_harness_finds_nothing(data in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzz::rewriter(&data);
    }

    #[test]
    fn the_fuzz_harness_finds_nothing_in_text_like_json(how in 0u8..6, cut: u8, seed: u64) {
        let mut dice = Dice(seed);
        let mut data = vec![how, cut];
        data.extend(dice.value(1).bytes());
        fuzz::rewriter(&data);
    }
}
