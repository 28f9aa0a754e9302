//! Readers of single values. Each reports its own fault and returns `None` then.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::types::Faults;
use crate::types::IdError;
use crate::types::Timestamp;

use super::Entry;
use super::Localized;
use super::Node;
use super::Value;
use super::near;

impl Node {
    /// Text, when it is text. Reports nothing.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text that is not empty.
    pub fn text(&self, faults: &mut Faults) -> Option<&str> {
        match &self.value {
            Value::Text(text) if text.is_empty() => self.wrong("text is empty", "", faults),
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Number(_) => {
                let what = format!("expected text, found {}", self.kind());
                self.wrong(&what, "put it in quotes", faults)
            }
            _ => self.unexpected("text", "", faults),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self, faults: &mut Faults) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => self.unexpected("`true` or `false`", "", faults),
        }
    }

    /// A whole number within `range`.
    pub fn whole(&self, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let Value::Number(digits) = &self.value else {
            return self.unexpected("a whole number", "", faults);
        };
        match digits.parse() {
            Ok(number) if range.contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let what = format!(
                    "expected a whole number from {} to {}, found `{digits}`",
                    range.start(),
                    range.end()
                );
                self.wrong(&what, "", faults)
            }
        }
    }

    /// A whole number of any size.
    pub fn u64(&self, faults: &mut Faults) -> Option<u64> {
        self.whole(0..=u64::MAX, faults)
    }

    /// The items of a list.
    pub fn list(&self, faults: &mut Faults) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => self.unexpected("a list", "write it as `[a, b]`", faults),
        }
    }

    /// The entries of a map.
    pub fn map(&self, faults: &mut Faults) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => self.unexpected("a map", "write it as `{ key: value }`", faults),
        }
    }

    /// The items of a list, or the value itself when it is none. Reports nothing.
    pub fn one_or_list(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// A list of different texts, or one text alone. Wrong items are reported and left out.
    pub fn texts(&self, faults: &mut Faults) -> Vec<(&Self, &str)> {
        let mut found: Vec<(&Self, &str)> = Vec::new();
        for item in self.one_or_list() {
            let Some(text) = item.text(faults) else { continue };
            if found.iter().any(|(_, earlier)| *earlier == text) {
                faults.error(&item.place, format!("`{text}` stands here twice"), "");
            } else {
                found.push((item, text));
            }
        }
        found
    }

    /// An identifier: `node.id(RoleId::parse, faults)`.
    pub fn id<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, IdError>,
        faults: &mut Faults,
    ) -> Option<T> {
        match parse(self.text(faults)?) {
            Ok(id) => Some(id),
            Err(error) => self.wrong(&error.to_string(), "", faults),
        }
    }

    /// A list of different identifiers, or one alone. Wrong ones are reported and left out.
    pub fn ids<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, IdError>,
        faults: &mut Faults,
    ) -> Vec<(&Self, T)> {
        let texts = self.texts(faults);
        texts.into_iter().filter_map(|(item, _)| Some((item, item.id(&parse, faults)?))).collect()
    }

    /// One word of a closed list: `node.word("level", Level::parse, &["general", …], faults)`.
    pub fn word<T>(
        &self,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &[&str],
        faults: &mut Faults,
    ) -> Option<T> {
        let text = self.text(faults)?;
        if let Some(value) = parse(text) {
            return Some(value);
        }
        let help = near::help(text, known.iter().copied());
        self.wrong(&format!("unknown {what} `{text}`"), &help, faults)
    }

    /// A length of time such as `15 minutes`, in seconds. Months have 30 days, years 365.
    pub fn seconds(&self, faults: &mut Faults) -> Option<u64> {
        let help = "write it as `15 minutes`, `24 hours` or `3 years`";
        let Value::Text(text) = &self.value else {
            return self.unexpected("a length of time", help, faults);
        };
        let parsed = text.split_once(' ').and_then(|(number, unit)| {
            let number: u64 = number.parse().ok()?;
            number.checked_mul(unit_seconds(unit.trim_start())?)
        });
        match parsed {
            Some(seconds) if seconds > 0 => Some(seconds),
            _ => self.wrong(&format!("`{text}` is no length of time"), help, faults),
        }
    }

    /// A moment: `2026-11-21` (its start in UTC) or `2026-11-21T09:00:00Z`.
    pub fn moment(&self, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.text(faults)?;
        let help = "write it as 2026-11-21 or 2026-11-21T09:00:00Z";
        match parse_moment(text) {
            Some(moment) => Some(moment),
            None => self.wrong(&format!("`{text}` is no date"), help, faults),
        }
    }

    /// Text for people: one text, or a map from language tags such as `zh-CN`.
    pub fn localized(&self, faults: &mut Faults) -> Option<Localized> {
        let Value::Map(entries) = &self.value else {
            return self.text(faults).map(Localized::plain);
        };
        let mut by_language = BTreeMap::new();
        for entry in entries {
            if !is_language(&entry.key) {
                let what = format!("`{}` is no language tag", entry.key);
                faults.error(&entry.key_place, what, "write it as `en` or `zh-CN`");
            } else if let Some(text) = entry.node.text(faults) {
                by_language.insert(entry.key.clone(), text.into());
            }
        }
        if entries.is_empty() {
            return self.wrong("no language is given", "write it as `{ en: … }`", faults);
        }
        Some(Localized { any: None, by_language })
    }

    /// Reports that something else was expected here.
    pub fn unexpected<T>(&self, expected: &str, help: &str, faults: &mut Faults) -> Option<T> {
        self.wrong(&format!("expected {expected}, found {}", self.kind()), help, faults)
    }

    /// Reports that this text, or whatever else stands here, is not what it should be.
    pub fn mismatch<T>(&self, expected: &str, help: &str, faults: &mut Faults) -> Option<T> {
        match &self.value {
            Value::Text(text) => self.wrong(&format!("`{text}` is not {expected}"), help, faults),
            _ => self.unexpected(expected, help, faults),
        }
    }

    /// Reports `what` at this value.
    fn wrong<T>(&self, what: &str, help: &str, faults: &mut Faults) -> Option<T> {
        faults.error(&self.place.first_line(), what, help);
        None
    }
}

fn unit_seconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        "week" | "weeks" => 604_800,
        "month" | "months" => 2_592_000,
        "year" | "years" => 31_536_000,
        _ => return None,
    })
}

fn parse_moment(text: &str) -> Option<Timestamp> {
    let ms = match text.len() {
        10 => {
            let date: jiff::civil::Date = text.parse().ok()?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
        }
        _ => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
    };
    u64::try_from(ms).ok().map(Timestamp::from_unix_ms)
}

/// Whether `text` looks like a BCP 47 tag: two or three letters, then short subtags.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    parts
        .next()
        .is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}
