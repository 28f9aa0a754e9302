//! What a consent record says: ISO/IEC TS 27560 in DPV terms, and what Privet adds.

use serde::Deserialize;
use serde::Serialize;

use super::ids::Digest;
use super::ids::RecordId;
use super::ids::SubjectRef;
use super::time;
use super::words::Channel;
use super::words::ConsentState;
use super::words::ConsentType;
use super::words::Entity;
use super::words::Necessity;
use crate::types::Timestamp;

/// A consent record to be made: one person, one version of one notice, one `process` for each
/// purpose, so that each purpose can be withdrawn alone. It holds no id by which a store knows
/// anybody. Sizes are limited: see [`NewConsent::check`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// What the person was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeShown>,
    /// The language it was shown in (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What the person was asked: at least one.
    pub process: Vec<Process>,
    /// Whose law holds, such as `CN` or `EU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// The laws, such as `eu-gdpr`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applicable_law: Vec<String>,
    /// How to take consent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
    /// The rights the person was told of, such as `eu-gdpr:A7-3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<String>,
    /// Codes of conduct that are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes_of_conduct: Vec<String>,
    /// The assessment that covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_assessment_ref: Option<String>,
    /// The supervisory authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Controllers, recipients and others that the record names; never the person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// The regime whose rules hold for the consent, such as `gdpr`, `pipl` or `ccpa`. Where it is
    /// none that lets silence count, consent must be expressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regime: Option<String>,
    /// Separate consent (单独同意, PIPL articles 23, 25, 26, 29 and 39): asked for alone, so the
    /// record has one process.
    #[serde(default, skip_serializing_if = "is_false")]
    pub separate: bool,
    /// How old the person is said to be, such as `under_14`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_age_band: Option<String>,
    /// Who spoke for a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardian: Option<Guardian>,
    /// Where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What the caller calls this attempt, so that it can be repeated. Stored as a keyed digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The record that this one takes the place of, for the purposes that both have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<RecordId>,
    /// What happened so far: at least one event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<NewEvent>,
}

/// What the person was shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeShown {
    /// The notice.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The SHA-256 of its text.
    pub sha256: Digest,
    /// When it was shown.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub shown_at: Option<Timestamp>,
}

/// One purpose the person was asked about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The consent question of the policy: the NAME of `consent: NAME`.
    pub purpose_key: String,
    /// The kind of purpose, such as `dpv:DirectMarketing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_type: Option<String>,
    /// The legal basis, such as `eu-gdpr:A6-1-a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    /// The kinds of data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_categories: Vec<DataCategory>,
    /// The controllers, by the ids of parties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// How the data is collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_method: Option<String>,
    /// What is done with the data, such as `dpv:Store`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// Where the data is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_locations: Vec<String>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Where the data is processed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processing_locations: Vec<String>,
    /// Where it may not go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub geo_restrictions: Vec<String>,
    /// Who receives the data, by the ids of parties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// The service it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// A kind of data.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataCategory {
    /// The category, such as `user.contact.email`.
    pub key: String,
    /// Whether the purpose can do without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub necessity: Option<Necessity>,
    /// How sensitive it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Whether it is of a special category.
    #[serde(default, skip_serializing_if = "is_false")]
    pub special: bool,
}

/// For how long data is kept: ISO 8601 durations, or an event.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// For so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Until this happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_event: Option<String>,
    /// Deleted within this time after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_within: Option<String>,
}

/// How to take consent back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// A page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// Somebody the record names.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// What the record calls them.
    pub id: String,
    /// What they are, such as `controller` or `recipient`; never the person themselves.
    #[serde(rename = "type")]
    pub kind: String,
    /// Their name.
    pub name: String,
    /// Their postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How to reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Their part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Their mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Their telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Who spoke for a child.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Guardian {
    /// `key:` and 32 hexadecimal digits, as [`Cards::guardian_ref`](crate::subjects::Cards::guardian_ref)
    /// makes them of an id, or `case:` and the number of a case. Never an id.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What shows that they may: a document's SHA-256 or its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// What proves an event.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The network the person came from, cut short: an IPv4 address that ends in `.0`, or an IPv6
    /// prefix that ends in `::`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_trunc: Option<String>,
    /// The SHA-256 of the browser's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent_hash: Option<Digest>,
    /// The SHA-256 of what the person saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ui_snapshot_sha256: Option<Digest>,
    /// Whether the browser said `Sec-GPC: 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpc: Option<bool>,
    /// The string of IAB's Global Privacy Platform, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpp_string: Option<String>,
    /// The string of IAB's Transparency and Consent Framework, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcf_string: Option<String>,
}

/// Something that happened to the consent for one purpose.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// The purpose: one of the record's processes.
    pub purpose_key: String,
    /// What it came to.
    pub state: ConsentState,
    /// How it was indicated.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ConsentType>,
    /// When; without it, when it is recorded. Not in the future.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Until when it is valid; without it, until it is taken back. The `validity_duration` of
    /// ISO/IEC TS 27560 is the time between the two.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Who caused it: `subject`, `guardian`, a party's id or an operator's token.
    pub entity_id: Entity,
    /// How, such as `form`, `signature` or `gpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// An event as it was recorded.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConsentEvent {
    /// What happened; its `time` is always there.
    #[serde(flatten)]
    pub event: NewEvent,
    /// When it was recorded. Never before `time`.
    #[serde(serialize_with = "time::serialize")]
    pub recorded_at: Timestamp,
    /// The version of the record that it made.
    pub version: u32,
}

/// A consent record as it stands at its last version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConsentRecord {
    /// The layout: [`SCHEMA`].
    pub schema_version: &'static str,
    /// Its id, which its receipt has too.
    pub record_id: RecordId,
    /// What records call the person.
    pub subject_ref: SubjectRef,
    /// What it says. Its own list of events is empty: they stand in `events`.
    #[serde(flatten)]
    pub consent: NewConsent,
    /// All that happened, in the order it was recorded.
    pub events: Vec<ConsentEvent>,
    /// How many versions it has; the first is 1.
    pub version: u32,
    /// The SHA-256 of the version before; none for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_version_hash: Option<Digest>,
    /// The SHA-256 of this version.
    pub version_hash: Digest,
    /// When this version was recorded.
    #[serde(serialize_with = "time::serialize")]
    pub created_at: Timestamp,
    /// The token of the operator who recorded this version.
    pub created_by: String,
    /// The index of this version's entry in the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_seq: Option<u64>,
}

/// One version of a record, as it is stored. Versions are only ever added.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentVersion {
    /// The layout: [`SCHEMA`].
    pub schema_version: String,
    /// The record.
    pub record_id: RecordId,
    /// Which version; the first is 1.
    pub version: u32,
    /// The SHA-256 of the version before, in the form of [`canonical`](super::canonical()).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_version_hash: Option<Digest>,
    /// When it was recorded.
    #[serde(with = "time")]
    pub created_at: Timestamp,
    /// The token of the operator who recorded it.
    pub created_by: String,
    /// The index of its entry in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_seq: Option<u64>,
    /// What it adds.
    pub change: ConsentChange,
}

/// What a version adds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ConsentChange {
    /// The record itself.
    Created {
        /// What records call the person.
        subject_ref: SubjectRef,
        /// What it says, with its first events.
        consent: Box<NewConsent>,
    },
    /// An event.
    Event(Box<NewEvent>),
}

/// The layout of records.
pub const SCHEMA: &str = "privet.consent/1";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !*value
}
