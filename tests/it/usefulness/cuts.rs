//! Generated answers through the gateway, cut at every place, beside a plain evaluator.
//!
//! The oracle beside the rewriter knows every view and reads no sockets; this one knows only what
//! is shown in clear, and goes through the whole gateway.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::harness::get;

use super::Bench;
use super::exchange::answer;
use super::exchange::chunked;

/// The listed places of `store.things`; `true` where a container is shown whole.
const LISTED: &[(&str, bool)] = &[
    ("id", false),
    ("value", false),
    ("whole", true),
    ("address.city", false),
    ("address.geo.lat", false),
    ("address.geo.lon", false),
    ("tags[*]", false),
    ("cards[*].pan", false),
    ("grid[*][*].v", false),
    ("姓名", false),
    ("two words", false),
];

/// Members of an object in their order, values unread.
struct Members(Vec<(String, Box<RawValue>)>);

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

/// What of `value` at `path` arrives.
fn shown(path: &str, value: &str) -> Option<String> {
    let leaf = LISTED.iter().find(|(listed, _)| *listed == path);
    let below = |start: &str| LISTED.iter().any(|(listed, _)| listed.starts_with(start));
    match value.as_bytes().first()? {
        b'{' if leaf.is_none() => {
            let start = if path.is_empty() { String::new() } else { format!("{path}.") };
            below(&start).then(|| members(&start, value))
        }
        b'[' if leaf.is_none() => {
            let item = format!("{path}[*]");
            below(&item).then(|| items(value, |text| shown(&item, text)))
        }
        b'{' => leaf?.1.then(|| value.to_owned()),
        // Scalars in an array are values of the field that lists it.
        b'[' => match leaf?.1 {
            true => Some(value.to_owned()),
            false => {
                Some(items(value, |item| (!item.starts_with(['{', '['])).then(|| item.to_owned())))
            }
        },
        b'n' if leaf.is_none() => {
            (below(&format!("{path}.")) || below(&format!("{path}[*]"))).then(|| "null".to_owned())
        }
        _ => leaf.map(|_| value.to_owned()),
    }
}

fn members(start: &str, value: &str) -> String {
    let Members(members) = serde_json::from_str(value).unwrap();
    let written = members.iter().filter_map(|(name, value)| {
        let is_name = !name.is_empty();
        let value = is_name.then(|| shown(&format!("{start}{name}"), value.get()))??;
        Some(format!("{}:{value}", serde_json::to_string(name).unwrap()))
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

fn items(value: &str, shown: impl Fn(&str) -> Option<String>) -> String {
    let items: Vec<Box<RawValue>> = serde_json::from_str(value).unwrap();
    let written = items.iter().filter_map(|item| shown(item.get()));
    format!("[{}]", written.collect::<Vec<_>>().join(","))
}

/// A source of choices made from one number, so that a failure is one number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", "", "", " ", "\n", "\r\n\t"])
    }

    fn scalar(&mut self) -> String {
        self.pick(&[
            "null",
            "true",
            "-0",
            "1e400",
            "0.10",
            "98765432109876543210",
            "\"\"",
            "\"Ana\"",
            "\"é€😀\"",
            r#""\ud83d\ude00\"\\\/\u0000""#,
            "\"a text of more than thirty-two bytes, cut anywhere\"",
        ])
        .to_owned()
    }

    fn value(&mut self, depth: usize) -> String {
        match self.roll(if depth > 3 { 6 } else { 10 }) {
            0..=5 => self.scalar(),
            6 | 7 => {
                let items: Vec<String> = (0..self.roll(4)).map(|_| self.value(depth + 1)).collect();
                format!("[{}{}]", self.space(), items.join(self.pick(&[",", " , "])))
            }
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let mut names = vec![
            "id",
            "value",
            "whole",
            "address",
            "city",
            "geo",
            "lat",
            "lon",
            "tags",
            "cards",
            "pan",
            "grid",
            "v",
            "姓名",
            "two words",
            "unlisted",
            "",
        ];
        let mut members = Vec::new();
        for _ in 0..self.roll(if depth == 0 { 9 } else { 5 }) {
            let name = names.remove(self.roll(names.len()));
            let escaped = |first: char| format!("\\u{:04x}", u32::from(first));
            let mut letters = name.chars();
            let name = match (self.roll(5), letters.next()) {
                (0, Some(first)) => format!("\"{}{}\"", escaped(first), letters.as_str()),
                _ => format!("\"{name}\""),
            };
            let (a, b, c) = (self.space(), self.space(), self.space());
            members.push(format!("{a}{name}{b}:{c}{}", self.value(depth)));
        }
        format!("{{{}{}}}", members.join(","), self.space())
    }
}

/// An answer of at least `bytes` bytes, and what must arrive of it.
fn generated(dice: &mut Dice, bytes: usize) -> (String, String) {
    let (mut records, mut arrive) = (Vec::new(), Vec::new());
    while records.iter().map(String::len).sum::<usize>() < bytes {
        let record = dice.object(0);
        arrive.push(shown("", &record).unwrap());
        records.push(record);
    }
    (format!("[{}]", records.join(",\n")), format!("[{}]", arrive.join(",")))
}

async fn expect(bench: &Bench, pieces: &[Vec<u8>], closes: bool, body: &str, what: &str) {
    bench.says(pieces, closes);
    let reply = get(bench.gateway.address, "/things", &bench.token, "").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, body), "{what}");
}

#[tokio::test]
async fn an_answer_cut_anywhere_arrives_as_a_plain_evaluator_says() {
    let bench = Bench::start().await;
    let mut cuts = 0;
    for seed in [1, 7, 42] {
        let (text, body) = generated(&mut Dice(seed), 150);
        for cut in 1..text.len() {
            let framed = chunked(&[], text.as_bytes(), &[cut, text.len()]);
            let what = format!("seed {seed}, cut at {cut} of {text}");
            expect(&bench, &[framed], false, &body, &what).await;
            cuts += 1;
        }
    }
    assert!(cuts > 450, "{cuts}");
}

#[tokio::test]
async fn generated_answers_arrive_in_every_framing_as_a_plain_evaluator_says() {
    let bench = Bench::start().await;
    for seed in 100..130 {
        let (text, body) = generated(&mut Dice(seed), 600);
        let what = format!("seed {seed}: {text}");
        let bytes = text.as_bytes();
        let length = format!("Content-Length: {}", bytes.len());
        let json = "Content-Type: application/json";
        let plain = answer(&[json, &length], bytes);
        expect(&bench, std::slice::from_ref(&plain), false, &body, &what).await;
        let single: Vec<Vec<u8>> = plain.iter().map(|byte| vec![*byte]).collect();
        expect(&bench, &single, false, &body, &what).await;
        expect(&bench, &[chunked(&[], bytes, &[1])], false, &body, &what).await;
        expect(&bench, &[chunked(&[], bytes, &[2, 31, 5])], false, &body, &what).await;
        expect(&bench, &[answer(&[json], bytes)], true, &body, &what).await;
    }
}
