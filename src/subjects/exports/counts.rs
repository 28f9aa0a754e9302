//! The totals of one year, and how they are stored.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use super::Notice;
use super::SubjectsError;
use super::of_class;
use crate::policy::ExportClass;
use crate::policy::ExportClasses;
use crate::policy::Threshold;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::SubjectToken;
use crate::types::Timestamp;

/// How many people's data left in a year.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct YearCount {
    /// The calendar year.
    pub year: i16,
    /// Of whom something that is not sensitive left.
    pub other: u64,
    /// Of whom something sensitive left.
    pub sensitive: u64,
}

/// The totals of one year.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) year: i16,
    /// The version of their row; `None`: there is none.
    pub(super) version: Option<Rev>,
    row: Row,
}

/// What is stored of them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    other: u64,
    sensitive: u64,
    /// Thresholds somebody was told of: class, people, percent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    told: BTreeSet<(String, u64, u8)>,
}

impl Counts {
    pub(super) fn empty(year: i16) -> Self {
        Self { year, version: None, row: Row::default() }
    }

    pub(super) async fn read(state: &Engine, year: i16) -> Result<Self, SubjectsError> {
        let found = state.get(&total_key(year)).await.map_err(SubjectsError::State)?;
        let Some(found) = found else { return Ok(Self::empty(year)) };
        Ok(Self { year, version: Some(found.version), row: read(&found.value)? })
    }

    /// Adds a person to some classes, unless a threshold forbids it.
    pub(super) fn add(
        &mut self,
        classes: ExportClasses,
        may_pass: &(dyn Fn(&Threshold) -> bool + Sync),
    ) -> bool {
        let of = || ExportClass::ALL.into_iter().filter(|class| classes.has(*class));
        let is_over = |class| {
            let next = self.of(class).saturating_add(1);
            of_class(class).any(|threshold| next >= threshold.people && !may_pass(threshold))
        };
        if of().any(is_over) {
            return false;
        }
        for class in of() {
            let total = match class {
                ExportClass::Other => &mut self.row.other,
                ExportClass::Sensitive => &mut self.row.sensitive,
            };
            *total = total.saturating_add(1);
        }
        true
    }

    pub(super) const fn of(&self, class: ExportClass) -> u64 {
        match class {
            ExportClass::Other => self.row.other,
            ExportClass::Sensitive => self.row.sensitive,
        }
    }

    pub(super) const fn told(&self) -> YearCount {
        let Row { other, sensitive, .. } = self.row;
        YearCount { year: self.year, other, sensitive }
    }

    /// Writes them behind whatever else `tx` does.
    pub(super) fn put(&self, tx: &mut Tx) -> Result<(), SubjectsError> {
        let bytes = serde_json::to_vec(&self.row).map_err(|_| SubjectsError::Damaged)?;
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        tx.put(&total_key(self.year), bytes, expect);
        Ok(())
    }

    /// What is to be told and was not. It counts as told with the next commit: who was cut off in
    /// between tells it again.
    pub(super) fn take_notices(&mut self, is_refused: bool, notices: &mut Vec<Notice>) {
        for class in ExportClass::ALL {
            let counted = self.of(class);
            for threshold in of_class(class) {
                let people = threshold.people;
                // Where somebody was refused, one more would have reached it.
                let reached =
                    counted >= people || is_refused && counted.saturating_add(1) == people;
                let near = counted >= people.saturating_mul(8).div_ceil(10);
                for (percent, is_due) in [(80, near), (100, reached)] {
                    let mark = (class.as_str().to_owned(), people, percent);
                    if is_due && self.row.told.insert(mark) {
                        notices.push(Notice { year: self.year, class, people, counted, percent });
                    }
                }
            }
        }
    }
}

/// The totals of every year there are some of.
pub(super) async fn all(state: &Engine) -> Result<Vec<Counts>, SubjectsError> {
    let page = state.scan(TOTALS, None, MAX_YEARS).await.map_err(SubjectsError::State)?;
    let mut found = Vec::new();
    for item in page.items {
        let year = item.key.strip_prefix(TOTALS).and_then(|year| std::str::from_utf8(year).ok());
        let year = year.and_then(|year| year.parse().ok()).ok_or(SubjectsError::Damaged)?;
        let row = read(&item.value.value)?;
        found.push(Counts { year, version: Some(item.value.version), row });
    }
    Ok(found)
}

fn read(bytes: &[u8]) -> Result<Row, SubjectsError> {
    serde_json::from_slice(bytes).map_err(|_| SubjectsError::Damaged)
}

fn total_key(year: i16) -> Vec<u8> {
    [TOTALS, format!("{year:04}").as_bytes()].concat()
}

/// The row of a person in a year.
pub(super) fn person_key(year: i16, token: SubjectToken) -> Vec<u8> {
    [ROWS, format!("{year:04}/").as_bytes(), &token.0].concat()
}

/// The calendar year where people are counted: that of Beijing, eight hours ahead of UTC all year
/// since 1991.
pub(super) fn year_of(now: Timestamp) -> i16 {
    let there = now.plus_ms(8 * 3_600_000).unix_ms();
    let moment =
        i64::try_from(there).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    moment.map_or(i16::MAX, |moment| moment.to_zoned(jiff::tz::TimeZone::UTC).year())
}

/// Rows of people.
pub(super) const ROWS: &[u8] = b"export/cn_pipl/";
/// Rows of totals.
const TOTALS: &[u8] = b"export-total/cn_pipl/";
/// Years whose people are kept besides the one under way: the last one is still reported on.
pub(super) const KEEP_YEARS: i16 = 1;
const MAX_YEARS: usize = 1_000;
