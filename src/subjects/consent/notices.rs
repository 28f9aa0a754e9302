//! Which notices there are, and which of them ask everybody anew.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::bounds::MAX_TEXT_BYTES;
use super::canonical;
use super::error::ConsentError;
use super::ids::Digest;
use super::model::NoticeShown;
use super::time;
use crate::types::Timestamp;

/// A version of a notice in one language.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The notice.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The language of the text (BCP 47).
    pub language: String,
    /// The SHA-256 of the text.
    pub sha256: Digest,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// From when it is in force.
    #[serde(with = "time")]
    pub effective_from: Timestamp,
    /// Whether purpose, method or kinds of data changed, so that everybody is asked anew (PIPL
    /// article 14): from `effective_from` on, consent under an older version is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_renewal: bool,
    /// When it was registered.
    #[serde(with = "time")]
    pub registered_at: Timestamp,
    /// The token of the operator who did.
    pub registered_by: String,
}

impl Notice {
    /// Whether every member is there and none too long.
    ///
    /// # Errors
    /// Names the member that is not.
    pub fn check(&self) -> Result<(), ConsentError> {
        let members = [("id", &self.id), ("version", &self.version), ("language", &self.language)];
        for (path, text) in members {
            if !is_name(text) {
                let what = "is no name: 1 to 64 bytes without control characters";
                return Err(ConsentError::invalid(path, what));
            }
        }
        let fits =
            |url: &String| url.len() <= MAX_TEXT_BYTES * 2 && !url.chars().any(char::is_control);
        if !self.url.as_ref().is_none_or(fits) {
            return Err(ConsentError::invalid("url", "is too long or has control characters"));
        }
        Ok(())
    }
}

/// All notices, by id, version and language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notices(BTreeMap<(String, String, String), Notice>);

impl Notices {
    /// Adds a notice that is not there; false when it is, with the same or another text.
    pub(super) fn add(&mut self, notice: Notice) -> bool {
        let key = (notice.id.clone(), notice.version.clone(), notice.language.clone());
        match self.0.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(notice);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a person can have been shown this: no text is registered for the version, or it is
    /// one of those that are. In a named language only that one counts.
    pub fn knows(&self, shown: &NoticeShown, language: Option<&str>) -> bool {
        let mut texts = self.versions(&shown.id).filter(|known| known.version == shown.version);
        let mut is_free = true;
        let fits = texts.any(|known| {
            let is_spoken = language.is_none_or(|language| language == known.language);
            is_free &= !is_spoken;
            is_spoken && known.sha256 == shown.sha256
        });
        fits || is_free
    }

    /// From when consent under a version counts no longer, by what was registered at `known_by`.
    pub fn outdated_from(
        &self,
        (id, version): (&str, &str),
        known_by: Timestamp,
    ) -> Option<Timestamp> {
        let known = || self.versions(id).filter(move |notice| notice.registered_at <= known_by);
        let age = |notice: &Notice| (notice.effective_from, notice.registered_at);
        // Languages of one version may be registered one after the other: the first counts.
        let own = known().filter(|notice| notice.version == version).map(age).min();
        known()
            .filter(|notice| notice.requires_renewal && notice.version != version)
            // Whatever nobody registered may be older.
            .filter(|notice| own.is_none_or(|own| own < age(notice)))
            .map(|notice| notice.effective_from)
            .min()
    }

    /// [`Self::outdated_from`] by what is known now, of a notice that is known by its tags alone.
    pub(in crate::subjects) fn tagged_outdated_from(
        &self,
        id: u32,
        version: u64,
    ) -> Option<Timestamp> {
        // Hardly any notice asks everybody anew, and one of them decides.
        let mut asked = self.0.values().filter(|notice| notice.requires_renewal);
        let asked = asked.find(|notice| id != 0 && tags(&notice.id, "").0 == id)?;
        let own = self.versions(&asked.id).find(|own| tags(&own.id, &own.version).1 == version);
        let own = own.map_or(UNREGISTERED, |own| own.version.as_str());
        self.outdated_from((&asked.id, own), Timestamp::from_unix_ms(u64::MAX))
    }

    fn versions<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Notice> {
        let from = (id.to_owned(), String::new(), String::new());
        self.0.range(from..).map(|(_, notice)| notice).take_while(move |notice| notice.id == id)
    }
}

/// Short digests of a notice's id and of its version, which cards have room for. Never 0.
pub(in crate::subjects) fn tags(id: &str, version: &str) -> (u32, u64) {
    let of_id = canonical::of_bytes(id.as_bytes()).0;
    let of_version = canonical::of_bytes([id, version].join("\0").as_bytes()).0;
    let id = of_id.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let version = of_version.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    (id.max(1), version.max(1))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

const MAX_NAME: usize = 64;
/// No version has this name.
const UNREGISTERED: &str = "\0";
