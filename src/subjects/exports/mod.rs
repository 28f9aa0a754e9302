//! Counting people whose data left their country this year.
//!
//! A person is a row under their name in the audit log, which identifies nobody once their log key
//! is destroyed: an erasure unlinks these rows as it unlinks the log. Rows and totals are written
//! together, so that the totals are exact whatever breaks off in between.

mod counts;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use super::error::SubjectsError;
use crate::policy::ExportClass;
use crate::policy::ExportClasses;
use crate::policy::Exported;
use crate::policy::Threshold;
use crate::policy::thresholds;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use self::counts::Counts;
use self::counts::KEEP_YEARS;
use self::counts::ROWS;
pub use self::counts::YearCount;
use self::counts::person_key;
use self::counts::year_of;
use self::seen::Seen;

/// The people whose data left their country, by calendar year.
pub struct Exports {
    state: Engine,
    /// Whom a look-up in memory finds.
    seen: Seen,
    /// The totals of the year that was written last, held while people are added.
    counts: Mutex<Option<Counts>>,
    subjects: Family<Labels, Gauge>,
}

/// What came of asking whether data of some people may leave.
#[derive(Debug, Default)]
pub struct Admission {
    /// Whose may not: one more would pass a threshold.
    pub refused: Vec<SubjectToken>,
    /// What somebody must be told.
    pub notices: Vec<Notice>,
}

/// A threshold that is near, or was reached. Each is told once a year.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Of which year.
    pub year: i16,
    /// Of which data.
    pub class: ExportClass,
    /// The threshold.
    pub people: u64,
    /// How many there are.
    pub counted: u64,
    /// 80, or 100.
    pub percent: u8,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    class: &'static str,
    year: i64,
}

impl Exports {
    /// Counted in `state`.
    pub(super) fn new(state: Engine) -> Self {
        let (seen, counts, subjects) = (Seen::new(PEOPLE), Mutex::default(), Family::default());
        Self { state, seen, counts, subjects }
    }

    /// Adds the gauge to `registry`; the caller gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        let help = "People whose data left their country in a calendar year";
        registry.register("subjects", help, self.subjects.clone());
    }

    /// The calendar year where people are counted.
    pub fn year(now: Timestamp) -> i16 {
        year_of(now)
    }

    /// Whether a person was counted already: one look-up in memory, which may have forgotten.
    pub fn knows(&self, year: i16, who: &Exported) -> bool {
        self.seen.has(year, who)
    }

    /// Counts people who are about to be shown abroad; those who were counted already cost nothing.
    /// `may_pass` says of a threshold whether the call may go beyond it. `Ok`: those who are not
    /// refused are on disk.
    ///
    /// # Errors
    /// When the state cannot be read or written: nobody's data may then leave.
    pub async fn admit(
        &self,
        wishes: &[Exported],
        now: Timestamp,
        may_pass: &(dyn Fn(&Threshold) -> bool + Sync),
    ) -> Result<Admission, SubjectsError> {
        let mut people: BTreeMap<SubjectToken, ExportClasses> = BTreeMap::new();
        for wish in wishes {
            let classes = people.entry(wish.token).or_default();
            *classes = classes.with(wish.classes);
        }
        let people: Vec<Exported> =
            people.into_iter().map(|(token, classes)| Exported { token, classes }).collect();
        let year = year_of(now);
        let mut admission = Admission::default();
        let mut held = self.counts.lock().await;
        for part in people.chunks(PART) {
            self.add((year, part), may_pass, &mut held, &mut admission).await?;
        }
        Ok(admission)
    }

    /// Adds some people, in one commit.
    async fn add(
        &self,
        (year, people): (i16, &[Exported]),
        may_pass: &(dyn Fn(&Threshold) -> bool + Sync),
        held: &mut Option<Counts>,
        admission: &mut Admission,
    ) -> Result<(), SubjectsError> {
        for _ in 0..TRIES {
            // Taken out: after a commit that failed, or was cut off, nobody knows what is there.
            let counts = match held.take().filter(|counts| counts.year == year) {
                Some(counts) => counts,
                None => Counts::read(&self.state, year).await?,
            };
            let mut next = counts.clone();
            let (mut tx, mut counted, mut refused) = (Tx::new(), Vec::new(), Vec::new());
            for person in people {
                let key = person_key(year, person.token);
                let row = self.state.get(&key).await.map_err(SubjectsError::State)?;
                let (before, expect) = match &row {
                    Some(row) => (bits(&row.value)?, Expect::Version(row.version)),
                    None => (ExportClasses::NONE, Expect::Absent),
                };
                let more = person.classes.without(before);
                if more.is_empty() {
                    counted.push(Exported { token: person.token, classes: before });
                } else if next.add(more, may_pass) {
                    let classes = before.with(more);
                    tx.put(&key, vec![classes.bits()], expect);
                    counted.push(Exported { token: person.token, classes });
                } else {
                    refused.push(person.token);
                }
            }
            if !tx.is_empty() {
                self.forget_old(year, &mut tx).await?;
                next.put(&mut tx)?;
                match self.state.commit(tx).await {
                    Ok(version) => next.version = Some(version),
                    Err(StateError::Conflict { .. }) => continue,
                    Err(error) => return Err(SubjectsError::State(error)),
                }
            }
            self.seen.add(year, &counted);
            next.take_notices(!refused.is_empty(), &mut admission.notices);
            admission.refused.extend(refused);
            self.show(&next);
            *held = Some(next);
            return Ok(());
        }
        Err(SubjectsError::Contended)
    }

    /// Removes some of the people of years that nobody reports on any more; the totals stay.
    async fn forget_old(&self, year: i16, tx: &mut Tx) -> Result<(), SubjectsError> {
        let room = MAX_OLD.min(crate::state::MAX_OPS.saturating_sub(tx.len() + 1));
        let page = self.state.scan(ROWS, None, room).await.map_err(SubjectsError::State)?;
        for item in page.items {
            let of = item.key.strip_prefix(ROWS).and_then(|rest| rest.get(..4));
            let of = of.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i16>().ok());
            if of.is_some_and(|of| of < year - KEEP_YEARS) {
                tx.delete(&item.key, Expect::Any);
            }
        }
        Ok(())
    }

    /// The totals of every year, the latest last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn report(&self, now: Timestamp) -> Result<Vec<YearCount>, SubjectsError> {
        let mut years = counts::all(&self.state).await?;
        let year = year_of(now);
        if !years.iter().any(|known| known.year == year) {
            years.push(Counts::empty(year));
        }
        years.sort_unstable_by_key(|counts| counts.year);
        years.iter().for_each(|counts| self.show(counts));
        Ok(years.iter().map(Counts::told).collect())
    }

    fn show(&self, counts: &Counts) {
        for class in ExportClass::ALL {
            let labels = Labels { class: class.as_str(), year: counts.year.into() };
            let people = i64::try_from(counts.of(class)).unwrap_or(i64::MAX);
            self.subjects.get_or_create(&labels).set(people);
        }
    }
}

/// Shows nobody.
impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exports").finish_non_exhaustive()
    }
}

fn bits(value: &[u8]) -> Result<ExportClasses, SubjectsError> {
    match value {
        [bits @ 1..=3] => Ok(ExportClasses::from_bits(*bits)),
        _ => Err(SubjectsError::Damaged),
    }
}

/// The thresholds of a class.
fn of_class(class: ExportClass) -> impl Iterator<Item = &'static Threshold> {
    thresholds().iter().filter(move |threshold| threshold.class == class)
}

/// People of one commit, beside old ones that are removed.
const PART: usize = 512;
/// Old rows that one commit removes.
const MAX_OLD: usize = 256;
/// Attempts at a commit that others get in the way of.
const TRIES: usize = 8;
/// People a look-up in memory finds.
const PEOPLE: usize = 1 << 19;
