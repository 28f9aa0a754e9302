//! Receipts and Kantara's form say what the record says, and no more.

use serde_json::Value;
use serde_json::json;

use super::kantara;
use super::receipt;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::protocol::jws;
use crate::protocol::jws::JwsKeys;
use crate::subjects::consent::ConsentEvent;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::Digest;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::RecordId;
use crate::subjects::consent::SCHEMA;
use crate::subjects::consent::SubjectRef;
use crate::types::Timestamp;

/// Every member that ISO/IEC TS 27560 knows, two purposes, one of which was taken back.
fn whole() -> Value {
    let process = |name: &str, kind: &str| {
        json!({
            "purpose_key": name,
            "purpose_type": kind,
            "legal_basis": "eu-gdpr:A6-1-a",
            "data_categories": [
                { "key": "user.contact.email", "necessity": "required", "level": "sensitive" },
                { "key": "user.health_and_medical", "necessity": "optional", "special": true },
            ],
            "controllers": ["shop"],
            "collection_method": "form",
            "operations": ["dpv:Store", "dpv:Use"],
            "storage_locations": ["DE"],
            "retention": { "duration": "P2Y", "until_event": "the account ends", "delete_within": "P30D" },
            "processing_locations": ["DE", "FR"],
            "geo_restrictions": ["not outside the EU"],
            "recipients": ["mailer"],
            "service": "Newsletter",
        })
    };
    json!({
        "notice": {
            "id": "shop", "version": "3", "url": "https://shop.example/privacy/3",
            "sha256": "ab".repeat(32), "shown_at": "2026-03-01T09:59:00Z",
        },
        "language": "en",
        "process": [process("marketing", "dpv:DirectMarketing"), process("analytics", "dpv:Purpose")],
        "jurisdiction": "EU",
        "applicable_law": ["eu-gdpr"],
        "withdrawal": { "url": "https://shop.example/consent", "method": "one click" },
        "rights": ["eu-gdpr:A7-3"],
        "codes_of_conduct": ["eco"],
        "impact_assessment_ref": "dpia-7",
        "authority": "BfDI",
        "parties": [
            {
                "id": "shop", "type": "controller", "name": "Shop Example", "address": "1 High Street",
                "contact": "Data protection", "email": "privacy@shop.example", "phone": "+44 20 7946 0000",
            },
            { "id": "mailer", "type": "processor", "name": "Mailer Ltd" },
        ],
        "regime": "gdpr",
        "channel": "web",
        "evidence": { "ip_trunc": "203.0.113.0", "ui_snapshot_sha256": "cd".repeat(32) },
        "idempotency_key": "a-key",
        "events": [
            {
                "purpose_key": "marketing", "state": "Given", "type": "ExpressedConsent",
                "time": "2026-03-01T10:00:00Z", "valid_until": "2027-03-01T10:00:00Z",
                "entity_id": "subject", "method": "form",
            },
            {
                "purpose_key": "analytics", "state": "Given", "type": "ExplicitlyExpressedConsent",
                "time": "2026-03-01T10:00:00Z", "entity_id": "subject",
            },
            {
                "purpose_key": "analytics", "state": "Withdrawn", "time": "2026-04-01T10:00:00Z",
                "entity_id": "subject",
            },
        ],
    })
}

fn at(text: &str) -> Timestamp {
    crate::audit::moment(text).unwrap()
}

fn record(of: &Value) -> ConsentRecord {
    let mut consent = NewConsent::read(of.to_string().as_bytes()).unwrap();
    let events = std::mem::take(&mut consent.events);
    let events = events.into_iter().map(|event| ConsentEvent {
        recorded_at: event.time.unwrap(),
        event,
        version: 1,
    });
    ConsentRecord {
        schema_version: SCHEMA,
        record_id: RecordId::parse("0192f0c1-2345-7abc-8def-0123456789ab").unwrap(),
        subject_ref: SubjectRef::parse(&"0f".repeat(16)).unwrap(),
        consent,
        events: events.collect(),
        version: 2,
        prev_version_hash: None,
        version_hash: Digest([7; 32]),
        created_at: at("2026-04-01T10:00:00Z"),
        created_by: "operator".to_owned(),
        audit_seq: Some(42),
    }
}

#[test]
fn a_receipt_says_what_the_record_says_in_the_words_of_dpv() {
    let receipt = receipt::payload(&record(&whole()));
    for (path, wanted) in [
        ("/@type", json!("dpv:ConsentReceipt")),
        ("/jti", json!("0192f0c1-2345-7abc-8def-0123456789ab.2")),
        ("/iat", json!(at("2026-04-01T10:00:00Z").unix_s())),
        ("/dct:conformsTo", json!("https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr")),
        ("/dct:publisher", json!(["Shop Example"])),
    ] {
        assert_eq!(receipt.pointer(path), Some(&wanted), "{path}");
    }
    let of = &receipt["dpv:hasRecordOfActivity"];
    for (path, wanted) in [
        ("/dct:identifier", json!("0192f0c1-2345-7abc-8def-0123456789ab")),
        ("/dct:conformsTo", json!("https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr")),
        ("/dpv:hasDataSubject", json!("0f".repeat(16))),
        ("/dpv:hasNotice/privet:sha256", json!("ab".repeat(32))),
        ("/dct:language", json!("en")),
        ("/dpv:hasJurisdiction", json!("EU")),
        ("/dpv:hasConsentControl/dpv:isExercisedAt", json!(["https://shop.example/consent"])),
        ("/dpv:hasRight", json!(["eu-gdpr:A7-3"])),
        ("/dpv:hasEntity/1/dpv:hasName", json!("Mailer Ltd")),
        ("/privet:auditSeq", json!(42)),
        ("/privet:uiSnapshotSha256", json!("cd".repeat(32))),
        ("/dpv:hasProcess/0/dpv:hasPurpose/@type", json!("dpv:DirectMarketing")),
        ("/dpv:hasProcess/0/dpv:hasLegalBasis", json!("eu-gdpr:A6-1-a")),
        ("/dpv:hasProcess/0/dpv:hasPersonalData/1/@type", json!("dpv:SpecialCategoryPersonalData")),
        ("/dpv:hasProcess/0/dpv:hasStorageCondition/1/dpv:hasDuration", json!("P2Y")),
        ("/dpv:hasProcess/0/dpv:hasRecipient", json!(["mailer"])),
        ("/dpv:hasProcess/0/privet:state", json!("Given")),
        ("/dpv:hasProcess/0/dct:valid", json!("2027-03-01T10:00:00.000Z")),
        (
            "/dpv:hasProcess/0/dpv:hasConsentStatus/0/@type",
            json!(["dpv:ConsentGiven", "dpv:ExpressedConsent"]),
        ),
        ("/dpv:hasProcess/1/privet:state", json!("Withdrawn")),
        ("/dpv:hasProcess/1/dpv:hasConsentStatus/1/@type", json!(["dpv:ConsentWithdrawn"])),
    ] {
        assert_eq!(of.pointer(path), Some(&wanted), "{path}");
    }
    // What proves it stays with the record, and so does the name of the attempt.
    let text = receipt.to_string();
    for kept in ["203.0.113", "a-key", "ip_trunc", "created_by"] {
        assert!(!text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn a_receipt_claims_no_profile_that_it_does_not_follow() {
    let mut small = whole();
    small.as_object_mut().unwrap().remove("withdrawal");
    small["process"][1].as_object_mut().unwrap().remove("recipients");
    let receipt = receipt::payload(&record(&small));
    assert_eq!(receipt.get("dct:conformsTo"), None);
    assert_eq!(receipt.pointer("/dpv:hasRecordOfActivity/dct:conformsTo"), None);
    assert_eq!(receipt["privet:lacks"], json!(["withdrawal", "process[1].recipients"]));
    // Another regime, and one of the members that only the GDPR's profile wants.
    for (path, value) in [("/regime", json!("pipl")), ("/process/0/operations", json!([]))] {
        let mut other = whole();
        *other.pointer_mut(path).unwrap() = value;
        let receipt = receipt::payload(&record(&other));
        assert_eq!(
            receipt["dct:conformsTo"], "https://w3id.org/dpv/schema/dpv-27560#receipt-record",
            "{path}"
        );
    }
}

#[test]
fn the_same_version_has_the_same_receipt_and_no_byte_of_it_can_change() {
    let signer = Signer::from_seed(&Secret::new([9; 32]));
    let keys = jws::key_set(signer.verifier()).to_string();
    let keys = JwsKeys::parse(keys.as_bytes()).unwrap();
    let text = receipt::signed(&record(&whole()), &signer);
    assert_eq!(text, receipt::signed(&record(&whole()), &signer));
    let read: Value =
        serde_json::from_slice(&keys.open(&text, super::RECEIPT_TYPE).unwrap()).unwrap();
    assert_eq!(read, receipt::payload(&record(&whole())));
    for place in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        // A letter that base64url has too, so that only the signature tells.
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(keys.open(&changed, super::RECEIPT_TYPE).is_err(), "byte {place}");
    }
}

/// What KI-CR v1.1.0 says of each member, by the schema that comes with it: its kind, and whether
/// it must be there.
const MEMBERS: [(&str, &str, bool); 14] = [
    ("version", "string", true),
    ("jurisdiction", "string", true),
    ("consentTimestamp", "integer", true),
    ("collectionMethod", "string", true),
    ("consentReceiptID", "string", true),
    ("publicKey", "string", false),
    ("language", "string", false),
    ("piiPrincipalId", "string", true),
    ("piiControllers", "array", true),
    ("policyUrl", "string", true),
    ("services", "array", true),
    ("sensitive", "boolean", true),
    ("spiCat", "array", true),
    ("purposes", "array", false),
];
const CONTROLLER: [(&str, &str, bool); 7] = [
    ("piiController", "string", true),
    ("onBehalf", "boolean", false),
    ("contact", "string", true),
    ("address", "object", true),
    ("email", "string", true),
    ("phone", "string", true),
    ("piiControllerUrl", "string", false),
];
const SERVICE: [(&str, &str, bool); 2] = [("service", "string", true), ("purposes", "array", true)];
const PURPOSE: [(&str, &str, bool); 8] = [
    ("purpose", "string", false),
    ("consentType", "string", true),
    ("purposeCategory", "array", true),
    ("piiCategory", "array", true),
    ("primaryPurpose", "boolean", false),
    ("termination", "string", true),
    ("thirdPartyDisclosure", "boolean", true),
    ("thirdPartyName", "string", false),
];

/// Whether an object has the members that it must have, and none of another kind or name.
fn fits(of: &Value, members: &[(&str, &str, bool)]) {
    let object = of.as_object().unwrap();
    for (name, kind, must) in members {
        let Some(value) = object.get(*name) else {
            assert!(!must, "{name} is missing in {of}");
            continue;
        };
        let is = match value {
            Value::String(text) => {
                assert!(!text.is_empty(), "{name} is empty");
                "string"
            }
            Value::Number(number) if number.as_u64().is_some() => "integer",
            Value::Bool(_) => "boolean",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Number(_) | Value::Null => "no kind of the schema",
        };
        assert_eq!(is, *kind, "{name}");
    }
    let known: Vec<&str> = members.iter().map(|(name, ..)| *name).collect();
    assert!(object.keys().all(|name| known.contains(&name.as_str())), "{of}");
}

fn fits_ki_cr(page: &Value) {
    fits(page, &MEMBERS);
    assert_eq!(page["version"], "KI-CR-v1.1.0");
    page["piiControllers"].as_array().unwrap().iter().for_each(|c| fits(c, &CONTROLLER));
    for service in page["services"].as_array().unwrap() {
        fits(service, &SERVICE);
        for purpose in service["purposes"].as_array().unwrap() {
            fits(purpose, &PURPOSE);
            // The schema: a name exactly where somebody is told.
            let told = purpose["thirdPartyDisclosure"].as_bool().unwrap();
            assert_eq!(purpose.get("thirdPartyName").is_some(), told);
            for list in ["purposeCategory", "piiCategory"] {
                assert!(purpose[list].as_array().unwrap().iter().all(Value::is_string));
            }
        }
    }
}

#[test]
fn what_stands_is_a_consent_receipt_of_the_kantara_initiative() {
    let now = at("2026-05-01T00:00:00Z");
    let page = kantara::export(&record(&whole()), "the-key", now).unwrap();
    fits_ki_cr(&page);
    assert_eq!(page["consentTimestamp"], at("2026-03-01T10:00:00Z").unix_s());
    assert_eq!(page["spiCat"], json!(["user.health_and_medical"]));
    let purposes = page["services"][0]["purposes"].as_array().unwrap();
    // The other one was taken back.
    assert_eq!(purposes.len(), 1);
    assert_eq!(purposes[0]["purpose"], "marketing");
    assert_eq!(purposes[0]["consentType"], "EXPLICIT");
    assert_eq!(purposes[0]["termination"], "P2Y, until the account ends, deleted within P30D");
    assert_eq!(purposes[0]["thirdPartyName"], "Mailer Ltd");
    let mut nobody = whole();
    nobody["process"][0].as_object_mut().unwrap().remove("recipients");
    fits_ki_cr(&kantara::export(&record(&nobody), "the-key", now).unwrap());
}

#[test]
fn nothing_is_passed_off_as_standing_or_complete() {
    // Over since March.
    let refused = kantara::export(&record(&whole()), "k", at("2027-03-01T10:00:00Z"));
    assert_eq!(refused, Err(kantara::NotKantara::NothingStands));
    for (path, name, wanted) in [
        ("", "jurisdiction", "jurisdiction"),
        ("/notice", "url", "notice.url"),
        ("/process/0", "retention", "process.retention"),
        ("/process/0", "service", "process.service"),
        ("/process/0", "data_categories", "process.data_categories"),
        ("/process/0", "controllers", "process.controllers, each among the parties"),
        ("/parties/0", "phone", "parties.phone of a controller"),
    ] {
        let mut lacking = whole();
        lacking.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
        let error = kantara::export(&record(&lacking), "k", at("2026-05-01T00:00:00Z"));
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with(&format!("requires: {wanted}")), "{error}");
    }
}
