//! Receipts: what a record says, in the words of ISO/IEC TS 27560 and DPV 2.3, signed.
//!
//! A receipt is a copy of one version of a record for the person. The same version gives the same
//! receipt, byte by byte. It holds no id by which a store knows anybody, and of the evidence only
//! the hash of what the person saw.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::crypto::Signer;
use crate::protocol::jws;
use crate::subjects::consent::ConsentEvent;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::ConsentType;
use crate::subjects::consent::DataCategory;
use crate::subjects::consent::Necessity;
use crate::subjects::consent::Party;
use crate::subjects::consent::Process;
use crate::subjects::consent::Withdrawal;

use super::RECEIPT_TYPE;

/// The receipt of a record as it stands: a compact JWS.
pub(super) fn signed(record: &ConsentRecord, signer: &Signer) -> String {
    jws::sign(signer, RECEIPT_TYPE, payload(record).to_string().as_bytes())
}

/// What the receipt says: JSON-LD, with the claims of a JWT (RFC 7519 §4.1) for tools that know
/// nothing else.
pub(super) fn payload(record: &ConsentRecord) -> Value {
    let id = format!("{}.{}", record.record_id, record.version);
    let lacks = record.consent.lacks();
    let mut receipt = object(json!({
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "dct": "http://purl.org/dc/terms/",
            "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
            "schema": "https://schema.org/",
            "privet": "urn:privet:consent:",
        },
        "@type": "dpv:ConsentReceipt",
        "jti": id,
        "iat": record.created_at.unix_s(),
        "sub": record.subject_ref,
        "dct:identifier": id,
        "dct:created": record.created_at.to_string(),
        "schema:recipient": "dpv:DataSubject",
    }));
    // A profile is named by what follows it whole, and by nothing else.
    put(&mut receipt, "dct:conformsTo", lacks.is_empty().then(|| profile("receipt", record)));
    put(&mut receipt, "dct:publisher", publisher(record));
    put(&mut receipt, "privet:lacks", some(&lacks));
    receipt.insert("dpv:hasRecordOfActivity".into(), self::record(record, lacks.is_empty()));
    Value::Object(receipt)
}

/// The controllers, by name.
fn publisher(record: &ConsentRecord) -> Option<Value> {
    let named = |party: &&Party| {
        record.consent.process.iter().any(|process| process.controllers.contains(&party.id))
    };
    let names: Vec<&str> =
        record.consent.parties.iter().filter(named).map(|party| party.name.as_str()).collect();
    some(&names)
}

fn profile(what: &str, record: &ConsentRecord) -> String {
    let regime = record.consent.regime.as_deref();
    let is_gdpr = matches!(regime, Some("gdpr" | "eu-gdpr"))
        && !record.consent.rights.is_empty()
        && record.consent.process.iter().all(has_what_gdpr_wants);
    let of = match (what, is_gdpr) {
        ("receipt", false) => "receipt-record",
        ("receipt", true) => "receipt-eu-gdpr",
        (_, false) => "record",
        (_, true) => "record-eu-gdpr",
    };
    format!("https://w3id.org/dpv/schema/dpv-27560#{of}")
}

/// The members that TS 27560 leaves open and the profile for the GDPR wants (DPV's guide
/// "consent-27560", §7.2).
fn has_what_gdpr_wants(process: &Process) -> bool {
    process.legal_basis.is_some()
        && process.collection_method.is_some()
        && !process.operations.is_empty()
        && !process.processing_locations.is_empty()
}

fn record(of: &ConsentRecord, is_complete: bool) -> Value {
    let consent = &of.consent;
    let mut record = object(json!({
        "@type": "dpv:ConsentRecord",
        "dct:identifier": of.record_id,
        "dpv:hasDataSubject": of.subject_ref,
        "privet:schemaVersion": of.schema_version,
        "privet:version": of.version,
        "privet:versionHash": of.version_hash,
    }));
    put(&mut record, "dct:conformsTo", is_complete.then(|| profile("record", of)));
    put(&mut record, "privet:auditSeq", of.audit_seq);
    put(&mut record, "dct:replaces", consent.supersedes);
    put(&mut record, "dpv:hasNotice", notice(of));
    put(&mut record, "dct:language", consent.language.as_deref());
    put(&mut record, "dpv:hasJurisdiction", consent.jurisdiction.as_deref());
    put(&mut record, "dpv:hasApplicableLaw", some(&consent.applicable_law));
    put(&mut record, "dpv:hasConsentControl", consent.withdrawal.as_ref().map(withdrawal));
    put(&mut record, "dpv:hasRight", some(&consent.rights));
    put(&mut record, "dpv:hasOrganisationalMeasure", some(&consent.codes_of_conduct));
    put(&mut record, "dpv:hasImpactAssessment", consent.impact_assessment_ref.as_deref());
    put(&mut record, "dpv:hasAuthority", consent.authority.as_deref());
    put(&mut record, "privet:regime", consent.regime.as_deref());
    put(&mut record, "privet:separateConsent", consent.separate.then_some(true));
    put(&mut record, "privet:ageBand", consent.subject_age_band.as_deref());
    put(&mut record, "privet:guardian", consent.guardian.as_ref());
    put(&mut record, "privet:channel", consent.channel);
    let seen = consent.evidence.as_ref().and_then(|evidence| evidence.ui_snapshot_sha256);
    put(&mut record, "privet:uiSnapshotSha256", seen);
    let parties: Vec<Value> = consent.parties.iter().map(party).collect();
    put(&mut record, "dpv:hasEntity", some(&parties));
    let processes: Vec<Value> =
        consent.process.iter().map(|process| self::process(process, of)).collect();
    record.insert("dpv:hasProcess".into(), processes.into());
    Value::Object(record)
}

fn notice(of: &ConsentRecord) -> Option<Value> {
    let shown = of.consent.notice.as_ref()?;
    let mut notice = object(json!({
        "@type": "dpv:ConsentNotice",
        "dct:identifier": shown.id,
        "schema:version": shown.version,
        "privet:sha256": shown.sha256,
    }));
    put(&mut notice, "schema:url", shown.url.as_deref());
    put(&mut notice, "dct:date", shown.shown_at.map(|at| at.to_string()));
    Some(Value::Object(notice))
}

fn withdrawal(how: &Withdrawal) -> Value {
    let mut control = object(json!({ "@type": "dpv:WithdrawConsent" }));
    let places: Vec<&str> =
        [&how.url, &how.api].into_iter().flatten().map(String::as_str).collect();
    put(&mut control, "dpv:isExercisedAt", some(&places));
    put(&mut control, "dct:description", how.method.as_deref());
    Value::Object(control)
}

fn party(of: &Party) -> Value {
    let mut party = object(json!({
        "dct:identifier": of.id,
        "privet:type": of.kind,
        "dpv:hasName": of.name,
    }));
    put(&mut party, "dpv:hasAddress", of.address.as_deref());
    put(&mut party, "dpv:hasContact", of.contact.as_deref());
    put(&mut party, "privet:role", of.role.as_deref());
    put(&mut party, "schema:email", of.email.as_deref());
    put(&mut party, "schema:url", of.url.as_deref());
    put(&mut party, "schema:telephone", of.phone.as_deref());
    Value::Object(party)
}

fn process(of: &Process, record: &ConsentRecord) -> Value {
    let kind = of.purpose_type.as_deref().unwrap_or("dpv:Purpose");
    let mut process = object(json!({
        "@type": "dpv:Process",
        "dpv:hasPurpose": { "@type": kind, "dct:identifier": of.purpose_key },
    }));
    put(&mut process, "dpv:hasLegalBasis", of.legal_basis.as_deref());
    let data: Vec<Value> = of.data_categories.iter().map(category).collect();
    put(&mut process, "dpv:hasPersonalData", some(&data));
    put(&mut process, "dpv:hasDataController", some(&of.controllers));
    put(&mut process, "dpv:hasDataSource", of.collection_method.as_deref());
    put(&mut process, "dpv:hasProcessing", some(&of.operations));
    put(&mut process, "dpv:hasStorageCondition", some(&storage(of)));
    put(&mut process, "dpv:hasLocation", some(&of.processing_locations));
    put(&mut process, "dpv:hasRule", some(&of.geo_restrictions));
    put(&mut process, "dpv:hasRecipient", some(&of.recipients));
    put(&mut process, "dpv:hasService", of.service.as_deref());
    if let Some(last) = last(record, &of.purpose_key) {
        process.insert("privet:state".into(), last.event.state.as_str().into());
        put(&mut process, "dct:valid", last.event.valid_until.map(|until| until.to_string()));
    }
    let events: Vec<Value> =
        record.events.iter().filter(|e| e.event.purpose_key == of.purpose_key).map(event).collect();
    process.insert("dpv:hasConsentStatus".into(), events.into());
    Value::Object(process)
}

fn category(of: &DataCategory) -> Value {
    let kind = if of.special { "dpv:SpecialCategoryPersonalData" } else { "dpv:PersonalData" };
    let mut category = object(json!({ "@type": kind, "dct:identifier": of.key }));
    let necessity = of.necessity.map(|necessity| match necessity {
        Necessity::Required => "dpv:Required",
        Necessity::Optional => "dpv:Optional",
    });
    put(&mut category, "dpv:hasNecessity", necessity);
    put(&mut category, "dpv:hasSensitivityLevel", of.level.as_deref());
    Value::Object(category)
}

fn storage(of: &Process) -> Vec<Value> {
    let mut conditions = Vec::new();
    if !of.storage_locations.is_empty() {
        let places = &of.storage_locations;
        conditions.push(json!({ "@type": "dpv:StorageLocation", "dpv:hasLocation": places }));
    }
    let Some(kept) = &of.retention else { return conditions };
    if kept.duration.is_some() || kept.until_event.is_some() {
        let mut duration = object(json!({ "@type": "dpv:StorageDuration" }));
        put(&mut duration, "dpv:hasDuration", kept.duration.as_deref());
        put(&mut duration, "privet:untilEvent", kept.until_event.as_deref());
        conditions.push(Value::Object(duration));
    }
    if let Some(within) = &kept.delete_within {
        conditions.push(json!({ "@type": "dpv:StorageDeletion", "dpv:hasDuration": within }));
    }
    conditions
}

fn event(of: &ConsentEvent) -> Value {
    let mut kinds = vec![status(of.event.state)];
    kinds.extend(of.event.kind.map(|kind| match kind {
        ConsentType::Expressed => "dpv:ExpressedConsent",
        ConsentType::ExplicitlyExpressed => "dpv:ExplicitlyExpressedConsent",
        ConsentType::Implied => "dpv:ImpliedConsent",
    }));
    let mut event = object(json!({
        "@type": kinds,
        "dct:date": of.event.time.unwrap_or(of.recorded_at).to_string(),
        "dpv:isIndicatedBy": of.event.entity_id,
    }));
    put(&mut event, "dct:valid", of.event.valid_until.map(|until| until.to_string()));
    put(&mut event, "dpv:hasIndicationMethod", of.event.method.as_deref());
    Value::Object(event)
}

/// The term of DPV for a state.
const fn status(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Requested => "dpv:ConsentRequested",
        ConsentState::RequestDeferred => "dpv:ConsentRequestDeferred",
        ConsentState::Refused => "dpv:ConsentRefused",
        ConsentState::Given => "dpv:ConsentGiven",
        ConsentState::RenewedGiven => "dpv:RenewedConsentGiven",
        ConsentState::Expired => "dpv:ConsentExpired",
        ConsentState::Withdrawn => "dpv:ConsentWithdrawn",
        ConsentState::Revoked => "dpv:ConsentRevoked",
        ConsentState::Invalidated => "dpv:ConsentInvalidated",
        ConsentState::Unknown => "dpv:ConsentUnknown",
    }
}

/// The event of a purpose that happened last; of two at the same time, the one recorded later.
pub(super) fn last<'a>(record: &'a ConsentRecord, purpose: &str) -> Option<&'a ConsentEvent> {
    let of_purpose = record.events.iter().filter(|e| e.event.purpose_key == purpose);
    of_purpose.max_by_key(|e| e.event.time.unwrap_or(e.recorded_at).min(e.recorded_at))
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

fn put(to: &mut Map<String, Value>, name: &str, value: Option<impl serde::Serialize>) {
    // What is not there is not said, so that `null` never has to be told from it.
    if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
        to.insert(name.into(), value);
    }
}

fn some<T: serde::Serialize>(list: &[T]) -> Option<Value> {
    if list.is_empty() { None } else { serde_json::to_value(list).ok() }
}
