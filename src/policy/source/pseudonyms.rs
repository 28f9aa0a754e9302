//! `{ pseudonymize: … }`: what stands in for a value, and whether the domain is large enough.

use crate::policy::Digits;
use crate::policy::Pseudonym;
use crate::policy::View;
use crate::types::Faults;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

/// The shape of what stands in.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Shape {
    Token,
    Email,
    Digits,
    Card,
    Date,
}

impl Shape {
    const ALL: [(&'static str, Self); 5] = [
        ("token", Self::Token),
        ("email", Self::Email),
        ("digits", Self::Digits),
        ("card", Self::Card),
        ("date", Self::Date),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, shape)| *shape)
    }
}

/// The words that only some shapes have, as nodes.
struct Words<'a> {
    reversible: Option<&'a Node>,
    digits: Option<&'a Node>,
    min_digits: Option<&'a Node>,
    keep_first: Option<&'a Node>,
    keep_last: Option<&'a Node>,
    luhn: Option<&'a Node>,
    days: Option<&'a Node>,
}

/// Reads what stands below `pseudonymize`.
pub(super) fn pseudonymize(node: &Node, faults: &mut Faults) -> Option<View> {
    let mut map = MapReader::new(node, "`pseudonymize`", faults)?;
    let scope = map.required("scope", faults).and_then(|node| {
        node.word("scope", |text| (text == "purpose").then_some(()), &["purpose"], faults)
    });
    let shape = map.optional("shape").map_or(Some(Shape::Token), |node| {
        node.word("shape", Shape::parse, &Shape::ALL.map(|(word, _)| word), faults)
    });
    let words = Words {
        reversible: map.optional("reversible"),
        digits: map.optional("digits"),
        min_digits: map.optional("min_digits"),
        keep_first: map.optional("keep_first"),
        keep_last: map.optional("keep_last"),
        luhn: map.optional("luhn"),
        days: map.optional("days"),
    };
    map.finish(faults);
    let (shape, ()) = (shape?, scope?);
    words.refuse_others(shape, faults);
    let pseudonym = match shape {
        Shape::Token => {
            let reversible = words.reversible.map_or(Some(false), |node| node.bool(faults))?;
            Pseudonym::Token { reversible }
        }
        Shape::Email => Pseudonym::Email,
        Shape::Digits | Shape::Card => words.digits(shape, node, faults)?,
        Shape::Date => {
            let days = words.days.map_or(Some(DAYS), |node| node.whole(1..=MAX_DAYS, faults))?;
            Pseudonym::Date { days: u16::try_from(days).ok()? }
        }
    };
    Some(View::Pseudonymize(pseudonym))
}

impl Words<'_> {
    /// Reports words that the shape does not have.
    fn refuse_others(&self, shape: Shape, faults: &mut Faults) {
        let of_digits = [Shape::Digits, Shape::Card].as_slice();
        let all: [(&str, Option<&Node>, &[Shape]); 7] = [
            ("reversible", self.reversible, &[Shape::Token]),
            ("digits", self.digits, of_digits),
            ("min_digits", self.min_digits, of_digits),
            ("keep_first", self.keep_first, of_digits),
            ("keep_last", self.keep_last, of_digits),
            ("luhn", self.luhn, &[Shape::Digits]),
            ("days", self.days, &[Shape::Date]),
        ];
        for (word, node, shapes) in all {
            let Some(node) = node.filter(|_| !shapes.contains(&shape)) else { continue };
            let known = Shape::ALL.iter().filter(|(_, shape)| shapes.contains(shape));
            let known: Vec<String> = known.map(|(word, _)| format!("`{word}`")).collect();
            let what = format!("`{word}` is a word of shape {} alone", known.join(" and "));
            faults.error(&node.place.first_line(), what, "leave it out, or name that shape");
        }
    }

    fn digits(&self, shape: Shape, node: &Node, faults: &mut Faults) -> Option<Pseudonym> {
        let (least, most) = if shape == Shape::Card { CARD } else { (MIN, MAX) };
        let range = u64::from(least)..=u64::from(most);
        let mut count = |node: Option<&Node>, range| match node {
            Some(node) => node.whole(range, faults).and_then(|n| u8::try_from(n).ok()).map(Some),
            None => Some(None),
        };
        let exact = count(self.digits, range.clone())?;
        let min = count(self.min_digits, range)?;
        let kept = 0..=u64::from(MAX);
        let keep_first = count(self.keep_first, kept.clone())?.unwrap_or(0);
        let keep_last = count(self.keep_last, kept)?.unwrap_or(0);
        let luhn = match self.luhn {
            Some(node) => node.bool(faults)?,
            None => shape == Shape::Card,
        };
        let (min, max) = match (exact, min) {
            (Some(exact), None) => (exact, exact),
            (None, Some(min)) => (min, most),
            (None, None) if shape == Shape::Card => CARD,
            _ => {
                let what = "`digits` or `min_digits` says how many digits a value has";
                let help = "write one of them: only so can be known whether enough are free";
                faults.error(&node.place.first_line(), what, help);
                return None;
            }
        };
        let digits = Digits { min, max, keep_first, keep_last, luhn };
        large_enough(digits, node, faults).then_some(Pseudonym::Digits(digits))
    }
}

/// Refuses a domain that is too small: whoever sees enough pairs would know all of them.
fn large_enough(digits: Digits, node: &Node, faults: &mut Faults) -> bool {
    let free = digits.free();
    if free >= MIN {
        return true;
    }
    let what = match free {
        0 => "no digit is left to become another".to_owned(),
        free => format!(
            "only {} values are left to become others, fewer than the 1,000,000 that FF1 needs \
             (NIST SP 800-38G rev. 1)",
            grouped(10_u64.pow(u32::from(free)))
        ),
    };
    let help = "keep fewer digits, or use shape `token` (with `reversible: true` to look values up \
                later), or a mask";
    faults.error(&node.place.first_line(), what, help);
    false
}

/// A number with commas: `100,000`.
fn grouped(number: u64) -> String {
    let (thousands, rest) = (number / 1_000, number % 1_000);
    if thousands == 0 { rest.to_string() } else { format!("{thousands},{rest:03}") }
}

/// As [`Ff1`](crate::crypto::Ff1) takes them.
const MIN: u8 = 6;
const MAX: u8 = 38;
/// ISO/IEC 7812-1 has up to 19 digits; none shorter than 12 is in use.
const CARD: (u8, u8) = (12, 19);
/// How far a date is moved when nothing else is said.
const DAYS: u64 = 30;
/// Ten years.
const MAX_DAYS: u64 = 3_653;
