//! A record as a consent receipt of the Kantara Initiative, version 1.1.0 (KI-CR).
//!
//! That format has no word for a state: whoever reads one takes it that consent stands. So only
//! what stands is written, and a record that lacks what the format wants is refused by name.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::subjects::consent::ConsentEvent;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::ConsentType;
use crate::subjects::consent::Party;
use crate::subjects::consent::Process;
use crate::subjects::consent::Retention;
use crate::types::Timestamp;

use super::receipt;

/// Why a record has no such form.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NotKantara {
    /// Nothing stands.
    #[error("no purpose of this record stands, and KI-CR tells only of consent that does")]
    NothingStands,
    /// Members the format requires.
    #[error("the record lacks what KI-CR v1.1.0 requires: {}", .0.join(", "))]
    Lacks(Vec<String>),
}

/// The record as KI-CR v1.1.0, as it stands at `now`. `key` is the public key of receipts.
pub(super) fn export(
    record: &ConsentRecord,
    key: &str,
    now: Timestamp,
) -> Result<Value, NotKantara> {
    let consent = &record.consent;
    let stands = |process: &&Process| standing(record, &process.purpose_key, now).is_some();
    let standing: Vec<&Process> = consent.process.iter().filter(stands).collect();
    let Some(first) = standing.first() else { return Err(NotKantara::NothingStands) };
    let mut lacks = Lacks::default();
    let url = consent.notice.as_ref().and_then(|notice| notice.url.as_deref());
    let method = first.collection_method.as_deref().or(consent.channel.map(|c| c.as_str()));
    let mut services = BTreeMap::<&str, Vec<Value>>::new();
    for process in &standing {
        let service = process.service.as_deref();
        let purpose = purpose(process, record, now, &mut lacks);
        services.entry(lacks.want("process.service", service)).or_default().push(purpose);
    }
    let controllers = controllers(record, &standing, &mut lacks);
    let special: Vec<&str> = standing
        .iter()
        .flat_map(|process| &process.data_categories)
        .filter(|category| category.special)
        .map(|category| category.key.as_str())
        .collect();
    let at = given_at(record, &standing, now);
    let mut page = json!({
        "version": "KI-CR-v1.1.0",
        "jurisdiction": lacks.want("jurisdiction", consent.jurisdiction.as_deref()),
        "consentTimestamp": at.unix_s(),
        "collectionMethod": lacks.want("channel", method),
        "consentReceiptID": record.record_id,
        "publicKey": key,
        "piiPrincipalId": record.subject_ref,
        "piiControllers": controllers,
        "policyUrl": lacks.want("notice.url", url),
        "services": services
            .into_iter()
            .map(|(service, purposes)| json!({ "service": service, "purposes": purposes }))
            .collect::<Vec<_>>(),
        "sensitive": !special.is_empty(),
        "spiCat": special,
    });
    if let (Some(language), Some(page)) = (&consent.language, page.as_object_mut()) {
        page.insert("language".into(), language.as_str().into());
    }
    lacks.none(page)
}

/// The event by which consent for a purpose stands.
fn standing<'a>(
    record: &'a ConsentRecord,
    purpose: &str,
    now: Timestamp,
) -> Option<&'a ConsentEvent> {
    let last = receipt::last(record, purpose)?;
    let is_over = last.event.valid_until.is_some_and(|until| until <= now);
    (last.event.state.allows() && !is_over).then_some(last)
}

/// When the first of what stands was given.
fn given_at(record: &ConsentRecord, standing: &[&Process], now: Timestamp) -> Timestamp {
    let given = standing.iter().filter_map(|p| self::standing(record, &p.purpose_key, now));
    given.map(|e| e.event.time.unwrap_or(e.recorded_at)).min().unwrap_or(record.created_at)
}

fn purpose(process: &Process, record: &ConsentRecord, now: Timestamp, lacks: &mut Lacks) -> Value {
    let kind = standing(record, &process.purpose_key, now).and_then(|event| event.event.kind);
    let kind = match kind {
        Some(ConsentType::Expressed | ConsentType::ExplicitlyExpressed) => "EXPLICIT",
        Some(ConsentType::Implied) => "IMPLICIT",
        None => "N/A",
    };
    let data: Vec<&str> =
        process.data_categories.iter().map(|category| category.key.as_str()).collect();
    if data.is_empty() {
        lacks.0.push("process.data_categories".to_owned());
    }
    let category = process.purpose_type.as_deref().unwrap_or(&process.purpose_key);
    let ends = process.retention.as_ref().and_then(termination);
    let mut purpose = json!({
        "purpose": process.purpose_key,
        "purposeCategory": [category],
        "consentType": kind,
        "piiCategory": data,
        // What somebody may refuse is never what the service is for (GDPR article 7(4)).
        "primaryPurpose": false,
        "termination": lacks.want("process.retention", ends.as_deref()),
        "thirdPartyDisclosure": !process.recipients.is_empty(),
    });
    if let (false, Some(purpose)) = (process.recipients.is_empty(), purpose.as_object_mut()) {
        let parties = &record.consent.parties;
        let name = |id: &String| {
            let named = parties.iter().find(|party| party.id == *id);
            named.map_or(id.as_str(), |party| &party.name).to_owned()
        };
        let names: Vec<String> = process.recipients.iter().map(name).collect();
        purpose.insert("thirdPartyName".into(), names.join(", ").into());
    }
    purpose
}

fn termination(kept: &Retention) -> Option<String> {
    let parts = [
        kept.duration.clone(),
        kept.until_event.as_ref().map(|event| format!("until {event}")),
        kept.delete_within.as_ref().map(|within| format!("deleted within {within}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { None } else { Some(parts.join(", ")) }
}

/// The controllers of what stands, each once. The format wants each to be reachable in every way.
fn controllers(record: &ConsentRecord, standing: &[&Process], lacks: &mut Lacks) -> Vec<Value> {
    let is_controller =
        |party: &&Party| standing.iter().any(|process| process.controllers.contains(&party.id));
    let found: Vec<&Party> = record.consent.parties.iter().filter(is_controller).collect();
    if found.is_empty() {
        lacks.0.push("process.controllers, each among the parties".to_owned());
    }
    let of = |party: &Party| {
        let mut want = |name: &str, value: &Option<String>| -> Value {
            lacks.want(&format!("parties.{name} of a controller"), value.as_deref()).into()
        };
        let mut controller = Map::new();
        controller.insert("piiController".into(), party.name.as_str().into());
        controller.insert("contact".into(), want("contact", &party.contact));
        let address = want("address", &party.address);
        controller.insert("address".into(), json!({ "streetAddress": address }));
        controller.insert("email".into(), want("email", &party.email));
        controller.insert("phone".into(), want("phone", &party.phone));
        if let Some(url) = &party.url {
            controller.insert("piiControllerUrl".into(), url.as_str().into());
        }
        Value::Object(controller)
    };
    found.into_iter().map(of).collect()
}

/// What is missing, by the paths of the record.
#[derive(Default)]
struct Lacks(Vec<String>);

impl Lacks {
    fn want<'a>(&mut self, path: &str, value: Option<&'a str>) -> &'a str {
        if value.is_none() && !self.0.iter().any(|known| known == path) {
            self.0.push(path.to_owned());
        }
        value.unwrap_or_default()
    }

    fn none(self, page: Value) -> Result<Value, NotKantara> {
        if self.0.is_empty() { Ok(page) } else { Err(NotKantara::Lacks(self.0)) }
    }
}
