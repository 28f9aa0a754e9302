//! Seals records that a store is to be filled with, as a creation through the gateway would.

use std::fmt;

use crate::api::Gateway as _;
use crate::keys::RecordSeals;
use crate::subjects::SubjectsError;
use crate::transform::EditError;
use crate::transform::NewRecord;
use crate::transform::Shape;
use crate::transform::create;
use crate::types::DataSetId;

use super::gateway::Site;
use super::running::Running;

/// A record cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The record is not one of the data set.
    #[error("a record does not fit `{set}`")]
    Record {
        /// The data set.
        set: DataSetId,
        /// What does not fit.
        #[source]
        source: EditError,
    },
    /// The policy has no such data set.
    #[error("no data set `{0}`")]
    Set(DataSetId),
    /// Keys could not be made or read.
    #[error(transparent)]
    Subjects(#[from] SubjectsError),
    /// A record does not say whom it is about.
    #[error("a record of `{0}` does not say whom it is about")]
    Whom(DataSetId),
}

/// A record, and the ids of its people in the order of the data set's subjects.
#[derive(Clone)]
pub struct Filling {
    /// An object in JSON.
    pub record: String,
    /// The ids.
    pub people: Vec<String>,
}

/// Shows neither the record nor whose it is.
impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filling(..)")
    }
}

impl Running {
    /// The records as the store is to keep them. People seen for the first time get their keys.
    ///
    /// # Errors
    /// When one of them cannot be sealed; nothing of them is to be stored then.
    pub async fn fill(
        &self,
        set: &DataSetId,
        records: &[Filling],
    ) -> Result<Vec<String>, FillError> {
        fill(&self.site, set, records).await
    }
}

async fn fill(site: &Site, id: &DataSetId, records: &[Filling]) -> Result<Vec<String>, FillError> {
    let policy = site.policy();
    let set = policy.sets().iter().find(|set| set.id == *id);
    let set = set.ok_or_else(|| FillError::Set(id.clone()))?;
    let shape = Shape::new(set);
    let writable = vec![true; set.fields.len()];
    let mut sealed = Vec::with_capacity(records.len());
    for part in records.chunks(PART) {
        let mut wanted = Vec::with_capacity(part.len() * set.subjects.len());
        for filling in part {
            if filling.people.len() != set.subjects.len() {
                return Err(FillError::Whom(id.clone()));
            }
            let pairs = set.subjects.iter().zip(&filling.people);
            wanted.extend(pairs.map(|(subject, id)| (&subject.domain, id.as_str())));
        }
        let mut cards = Vec::new();
        site.cards().cards(&wanted, &mut cards).await?;
        let mut cards = cards.into_iter();
        for filling in part {
            let keys: Vec<_> = cards
                .by_ref()
                .take(set.subjects.len())
                .map(|card| card.and_then(|card| card.keys.clone()))
                .collect();
            let seals = RecordSeals::new(site.keys(), set, &keys);
            let sent = filling.record.as_str();
            let new =
                NewRecord { shape: &shape, sent, views: &[], seals: &seals, writable: &writable };
            let mut body = Vec::with_capacity(sent.len() * 2);
            let wrong = |source| FillError::Record { set: id.clone(), source };
            create(&new, &mut body).map_err(wrong)?;
            // What is made of strict JSON is strict JSON.
            sealed.push(String::from_utf8(body).unwrap_or_default());
        }
    }
    Ok(sealed)
}

/// People looked up at once.
const PART: usize = 256;
