//! What a pass found, in numbers. It holds no value and no id.

use std::collections::BTreeMap;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::json;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::transform::Converted;
use crate::transform::Fate;
use crate::types::SubjectToken;

/// What a pass, or a part of one, found.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Records looked at.
    pub(super) records: u64,
    /// Records that change.
    pub(super) to_do: u64,
    /// Indexes that are set or removed.
    pub(super) indexed: u64,
    /// Values that are sealed with an older key of their person, and records with one.
    older: (u64, u64),
    /// Values, by field and what becomes of them.
    fields: BTreeMap<(FieldIx, Fate), u64>,
    /// Records, by what is said of their people.
    people: BTreeMap<&'static str, u64>,
    offenders: Vec<Offender>,
    offenders_lost: u64,
    indexes: HashMap<FieldIx, Groups>,
}

/// A value that somebody should look at.
#[derive(Clone, Copy, Debug)]
struct Offender {
    /// The place of its record in the list, from 0.
    record: u64,
    field: FieldIx,
    why: Fate,
    /// The person it should belong to, as the log names them; nothing where nobody knows.
    subject: Option<SubjectToken>,
}

impl Count {
    /// Counts one record. `subject` gives the log's name of a field's person, `people` what is
    /// said of the record's people.
    pub(super) fn add(
        &mut self,
        converted: &Converted,
        record: u64,
        subject: impl Fn(FieldIx) -> Option<SubjectToken>,
        people: impl Iterator<Item = &'static str>,
    ) {
        self.records += 1;
        self.to_do += u64::from(converted.changes);
        self.indexed += u64::from(converted.indexed);
        self.older.0 += u64::from(converted.older);
        self.older.1 += u64::from(converted.older > 0);
        for (field, fate) in &converted.values {
            *self.fields.entry((*field, *fate)).or_default() += 1;
            if Fate::TROUBLES.contains(fate) {
                let (field, why) = (*field, *fate);
                self.offend(Offender { record, field, why, subject: subject(field) });
            }
        }
        people.for_each(|word| *self.people.entry(word).or_default() += 1);
        for (field, print) in &converted.indexes {
            self.indexes.entry(*field).or_default().add(*print, 1);
        }
    }

    /// Adds what another part found.
    pub(super) fn merge(&mut self, part: Self) {
        self.records += part.records;
        self.to_do += part.to_do;
        self.indexed += part.indexed;
        part.fields.into_iter().for_each(|(key, n)| *self.fields.entry(key).or_default() += n);
        part.people.into_iter().for_each(|(word, n)| *self.people.entry(word).or_default() += n);
        self.older.0 += part.older.0;
        self.older.1 += part.older.1;
        self.offenders_lost += part.offenders_lost;
        part.offenders.into_iter().for_each(|offender| self.offend(offender));
        for (field, groups) in part.indexes {
            self.indexes.entry(field).or_default().merge(groups);
        }
    }

    fn offend(&mut self, offender: Offender) {
        if self.offenders.len() < MOST_OFFENDERS {
            self.offenders.push(offender);
        } else {
            self.offenders_lost += 1;
        }
    }

    /// How many values somebody should look at.
    pub(super) fn troubles(&self) -> u64 {
        let troubles = self.fields.iter().filter(|((_, fate), _)| Fate::TROUBLES.contains(fate));
        troubles.map(|(_, count)| count).sum()
    }

    /// As the rows of a job's report: one for the records, one a field, and the offenders.
    pub(super) fn report(&self, set: &DataSet) -> Vec<Value> {
        let path = |field: FieldIx| set.get(field).map_or("", |field| field.path.as_str());
        let mut rows = vec![json!({
            "records": self.records,
            "to_change": self.to_do,
            "indexes_to_set": self.indexed,
            "older_keys": { "values": self.older.0, "records": self.older.1 },
            "people": self.people,
            "offenders_not_listed": self.offenders_lost,
        })];
        let sealed = set.indexed().filter(|(_, field)| field.at_rest.is_some());
        for (ix, _) in sealed {
            let of_field = self.fields.range((ix, Fate::Moves)..);
            let of_field = of_field.take_while(|((field, _), _)| *field == ix);
            let values: BTreeMap<&str, u64> =
                of_field.map(|((_, fate), count)| (fate.as_str(), *count)).collect();
            let mut row = json!({ "field": path(ix), "values": values });
            if let (Some(groups), Some(row)) = (self.indexes.get(&ix), row.as_object_mut()) {
                row.insert("duplicates".into(), groups.told());
            }
            rows.push(row);
        }
        for part in self.offenders.chunks(OFFENDERS_A_ROW) {
            let told = part.iter().map(|it| {
                json!({
                    "record": it.record,
                    "field": path(it.field),
                    "why": it.why.as_str(),
                    "subject": it.subject.map(|token| token.to_string()),
                })
            });
            rows.push(json!({ "offenders": told.collect::<Vec<_>>() }));
        }
        rows
    }
}

/// How often each index came, in bounded memory: of more different ones than are kept, every
/// second, then every fourth, and so on is counted.
#[derive(Debug, Default)]
pub(super) struct Groups {
    seen: HashMap<u64, u32>,
    /// Of how many, as a power of two, one is kept.
    thinned: u32,
}

impl Groups {
    fn add(&mut self, print: u64, times: u32) {
        // Every bit of an HMAC is as likely as not: the last ones choose without favour.
        if !self.keeps(print) {
            return;
        }
        let count = self.seen.entry(print).or_default();
        *count = count.saturating_add(times);
        while self.seen.len() > MOST_PRINTS && self.thinned < u64::BITS - 1 {
            self.thin(self.thinned + 1);
        }
    }

    fn merge(&mut self, other: Self) {
        if other.thinned > self.thinned {
            self.thin(other.thinned);
        }
        other.seen.into_iter().for_each(|(print, times)| self.add(print, times));
    }

    fn thin(&mut self, thinned: u32) {
        self.thinned = thinned.min(u64::BITS - 1);
        let mask = (1 << self.thinned) - 1;
        self.seen.retain(|print, _| print & mask == 0);
    }

    fn keeps(&self, print: u64) -> bool {
        print & ((1 << self.thinned) - 1) == 0
    }

    fn told(&self) -> Value {
        let several = self.seen.values().filter(|times| **times > 1);
        let scale = 1_u64 << self.thinned;
        let groups = u64::try_from(several.clone().count()).unwrap_or(u64::MAX);
        let records: u64 = several.map(|times| u64::from(*times)).sum();
        json!({
            "groups": groups.saturating_mul(scale),
            "records": records.saturating_mul(scale),
            "exact": self.thinned == 0,
        })
    }
}

/// The most offenders that a report lists; the others are counted.
const MOST_OFFENDERS: usize = 4_000;
/// What fits into a row of a report.
const OFFENDERS_A_ROW: usize = 25;
/// The most different indexes of a field that are told apart: 48 MiB at most.
const MOST_PRINTS: usize = if cfg!(test) { 1 << 10 } else { 1 << 21 };

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints that are spread out, as those of an HMAC are.
    fn print(number: u64) -> u64 {
        number
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }

    #[test]
    fn groups_of_equal_indexes_are_counted_exactly_while_there_is_room() {
        let mut groups = Groups::default();
        for number in 0..900 {
            groups.add(print(number), 1);
        }
        for number in 0..7 {
            groups.add(print(number), 2);
        }
        assert_eq!(groups.told(), json!({ "groups": 7, "records": 21, "exact": true }));
    }

    #[test]
    fn beyond_the_room_they_are_estimated_and_that_is_said() {
        let mut groups = Groups::default();
        for number in 0..100_000 {
            groups.add(print(number), 1 + u32::from(number % 10 == 0));
        }
        assert!(groups.seen.len() <= MOST_PRINTS);
        let told = groups.told();
        assert_eq!(told["exact"], false);
        let estimated = told["groups"].as_u64().unwrap();
        assert!((6_000..14_000).contains(&estimated), "{estimated}");
    }

    #[test]
    fn parts_add_up_to_the_whole_however_they_are_thinned() {
        let (mut whole, mut parts) = (Groups::default(), Groups::default());
        for part in 0..20 {
            let mut some = Groups::default();
            for number in part * 500..(part + 1) * 500 + 50 {
                some.add(print(number), 1);
                whole.add(print(number), 1);
            }
            parts.merge(some);
        }
        assert_eq!(parts.told(), whole.told());
    }
}
