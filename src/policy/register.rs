//! The register of transfers: every recipient, with what allows it and whether that holds.

use serde::Serialize;

use crate::types::Timestamp;

use super::compile::chain;
use super::source::Mechanism;
use super::source::Model;
use super::source::Recipient;

/// A recipient, as the register of transfers shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RecipientEntry {
    /// Its id.
    pub id: String,
    /// What people call it; in English, where it has several languages.
    pub title: Option<String>,
    /// What it is to the organisation.
    pub kind: &'static str,
    /// Where it is.
    pub country: String,
    /// The processor it works for.
    pub parent: Option<String>,
    /// What binds it.
    pub agreement: AgreementEntry,
    /// What allows that data goes there.
    pub mechanisms: Vec<MechanismEntry>,
}

/// An agreement of the register.
#[derive(Clone, Debug, Serialize)]
pub struct AgreementEntry {
    /// Where it is filed.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it ends, as RFC 3339.
    pub until: Option<String>,
    /// Whether it holds now, and those of whom the recipient works for.
    pub holds: bool,
}

/// A mechanism of the register.
#[derive(Clone, Debug, Serialize)]
pub struct MechanismEntry {
    /// Its kind.
    pub kind: &'static str,
    /// Which of the kind's cases.
    pub case: Option<&'static str>,
    /// Whose law it satisfies.
    #[serde(rename = "for")]
    pub regions: Vec<String>,
    /// When it ends, as RFC 3339.
    pub until: Option<String>,
    /// Where it is filed.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Whether it holds now, with the agreements it rests on.
    pub holds: bool,
}

impl RecipientEntry {
    pub(super) fn of(recipient: &Recipient, model: &Model, now: Timestamp) -> Self {
        let lasts = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
        let bound = chain(recipient, model).all(|it| lasts(it.agreement.until));
        let mechanism = |mechanism: &Mechanism| MechanismEntry {
            kind: mechanism.kind.as_str(),
            case: mechanism.case,
            regions: mechanism.regions.iter().map(ToString::to_string).collect(),
            until: mechanism.until.as_ref().map(ToString::to_string),
            reference: mechanism.reference.as_deref().map(String::from),
            holds: bound && lasts(mechanism.until),
        };
        Self {
            id: recipient.id.to_string(),
            title: recipient.title.as_ref().map(|title| title.text("en").to_owned()),
            kind: recipient.kind.as_str(),
            country: recipient.country.to_string(),
            parent: recipient.parent.as_ref().map(|(id, _)| id.to_string()),
            agreement: AgreementEntry {
                reference: recipient.agreement.reference.to_string(),
                until: recipient.agreement.until.as_ref().map(ToString::to_string),
                holds: bound,
            },
            mechanisms: recipient.mechanisms.iter().map(mechanism).collect(),
        }
    }
}
