//! What a consent record may hold: sizes, and that it names no person.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::ConsentError;
use super::model::Evidence;
use super::model::NewConsent;
use super::model::NewEvent;
use super::standing;
use super::words::Entity;
use crate::subjects::card::MAX_NAMES;
use crate::types::PurposeId;
use crate::types::Timestamp;

/// The longest record, in bytes of JSON.
pub const MAX_RECORD_BYTES: usize = 32 * 1_024;
/// The longest list.
pub const MAX_ITEMS: usize = 64;
/// The longest text; addresses of pages may have twice that, and strings of the IAB's frameworks
/// eight times.
pub const MAX_TEXT_BYTES: usize = 512;
/// The longest idempotency key.
pub const MAX_KEY_BYTES: usize = 128;

impl NewConsent {
    /// Reads a record from JSON, with every limit checked.
    ///
    /// # Errors
    /// Names the path of what is not understood, too long or missing, and repeats no value.
    pub fn read(json: &[u8]) -> Result<Self, ConsentError> {
        if json.len() > MAX_RECORD_BYTES * 2 {
            return Err(too_long("$"));
        }
        let read: Self = read(json)?;
        read.check()?;
        Ok(read)
    }

    /// Whether it is within its limits and says nothing that cannot be.
    ///
    /// # Errors
    /// Names the path of what is wrong.
    pub fn check(&self) -> Result<(), ConsentError> {
        sizes(self, MAX_RECORD_BYTES)?;
        self.processes()?;
        self.people()?;
        if let Some(key) = &self.idempotency_key {
            idempotency_key("idempotency_key", key)?;
        }
        evidence("evidence", self.evidence.as_ref())?;
        if self.events.is_empty() {
            return Err(ConsentError::invalid("events", "is empty: say what happened"));
        }
        for (n, event) in self.events.iter().enumerate() {
            event.check_in(&format!("events[{n}]"), self)?;
        }
        Ok(())
    }

    /// The members that ISO/IEC TS 27560 wants in every record and this one lacks, by their paths.
    /// Such a record counts; a receipt of it is not complete.
    pub fn lacks(&self) -> Vec<String> {
        let mut lacks: Vec<String> = [
            ("notice", self.notice.is_some()),
            ("language", self.language.is_some()),
            ("jurisdiction", self.jurisdiction.is_some()),
            ("withdrawal", self.withdrawal.is_some()),
            ("parties", !self.parties.is_empty()),
        ]
        .into_iter()
        .filter(|(_, is_there)| !is_there)
        .map(|(name, _)| name.to_owned())
        .collect();
        for (n, process) in self.process.iter().enumerate() {
            for (name, is_there) in [
                ("data_categories", !process.data_categories.is_empty()),
                ("controllers", !process.controllers.is_empty()),
                ("storage_locations", !process.storage_locations.is_empty()),
                ("retention", process.retention.is_some()),
                ("recipients", !process.recipients.is_empty()),
            ] {
                if !is_there {
                    lacks.push(format!("process[{n}].{name}"));
                }
            }
        }
        lacks
    }

    fn processes(&self) -> Result<(), ConsentError> {
        let count = self.process.len();
        if count == 0 || count > MAX_NAMES {
            let what = format!("has {count} purposes; a record has 1 to {MAX_NAMES}");
            return Err(ConsentError::invalid("process", what));
        }
        if self.separate && count != 1 {
            let what = "has several purposes: separate consent is asked for one purpose alone";
            return Err(ConsentError::invalid("process", what));
        }
        let mut seen = BTreeSet::new();
        for (n, process) in self.process.iter().enumerate() {
            let path = format!("process[{n}].purpose_key");
            if !is_question(&process.purpose_key) {
                let what = "is no consent question: letters, digits, `.`, `_` or `-`, at most 64";
                return Err(ConsentError::invalid(path, what));
            }
            if !seen.insert(&process.purpose_key) {
                return Err(ConsentError::invalid(path, "stands in the record twice"));
            }
        }
        Ok(())
    }

    /// Nobody is named by an id that a store knows them by.
    fn people(&self) -> Result<(), ConsentError> {
        for (n, party) in self.parties.iter().enumerate() {
            if SUBJECTS.contains(&party.kind.as_str()) {
                let path = format!("parties[{n}].type");
                let what = "names the person: a record knows them by `subject_ref` alone";
                return Err(ConsentError::invalid(path, what));
            }
        }
        if let Some(guardian) = &self.guardian
            && !is_guardian_ref(&guardian.reference)
        {
            let what = "is neither `key:` with 32 hexadecimal digits nor `case:` with a number";
            return Err(ConsentError::invalid("guardian.ref", what));
        }
        Ok(())
    }
}

impl NewEvent {
    /// Reads an event from JSON; what it says is checked when it is recorded.
    ///
    /// # Errors
    /// Names the path of what is not understood, and repeats no value.
    pub fn read(json: &[u8]) -> Result<Self, ConsentError> {
        if json.len() > MAX_EVENT_BYTES * 2 {
            return Err(too_long("$"));
        }
        read(json)
    }

    /// Whether the event can be one of a record.
    pub(super) fn check_in(&self, path: &str, record: &NewConsent) -> Result<(), ConsentError> {
        sizes(self, MAX_EVENT_BYTES)?;
        let fault = |member: &str, what: &'static str| {
            let path = if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") };
            Err(ConsentError::invalid(path, what))
        };
        if !record.process.iter().any(|process| process.purpose_key == self.purpose_key) {
            return fault("purpose_key", "is no purpose of this record");
        }
        if let Entity::Other(id) = &self.entity_id
            && !is_word(id, MAX_WORD)
        {
            return fault("entity_id", "is neither `subject`, `guardian`, a party nor a token");
        }
        if self.entity_id == Entity::Guardian && record.guardian.is_none() {
            return fault("entity_id", "is `guardian`, but the record has none");
        }
        evidence("evidence", self.evidence.as_ref())?;
        if !self.state.allows() {
            return match self.valid_until {
                Some(_) => fault("valid_until", "belongs to `Given` and `RenewedGiven` only"),
                None => Ok(()),
            };
        }
        let is_over = |until: Timestamp| self.time.is_some_and(|time| until <= time);
        if self.valid_until.is_some_and(is_over) {
            return fault("valid_until", "is not after `time`");
        }
        if self.kind.is_none() {
            return fault("type", "is missing: say how consent was expressed");
        }
        if !standing::is_expressed(record, self) {
            return fault("type", "is `ImpliedConsent`, which counts in opt-out regimes only");
        }
        Ok(())
    }
}

/// Whether a key can name an attempt: no spaces and no `@`, so that it is no mail address.
pub(super) fn idempotency_key(path: &str, key: &str) -> Result<(), ConsentError> {
    if is_word(key, MAX_KEY_BYTES) {
        return Ok(());
    }
    let what = "is no key: letters, digits, `.`, `_`, `:` or `-`, at most 128";
    Err(ConsentError::invalid(path, what))
}

/// Whether it can be the name of a consent question.
pub(super) fn is_question(name: &str) -> bool {
    name.len() <= MAX_QUESTION && PurposeId::parse(name).is_ok()
}

fn is_word(text: &str, longest: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(fits)
}

fn is_guardian_ref(text: &str) -> bool {
    let is_hex = |text: &str| {
        text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_case = |text: &str| is_word(text, MAX_WORD) && text.bytes().any(|b| b.is_ascii_digit());
    text.strip_prefix("key:").is_some_and(is_hex) || text.strip_prefix("case:").is_some_and(is_case)
}

fn evidence(path: &str, evidence: Option<&Evidence>) -> Result<(), ConsentError> {
    let Some(ip) = evidence.and_then(|evidence| evidence.ip_trunc.as_deref()) else {
        return Ok(());
    };
    let is_cut = match ip.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => v4.octets()[3] == 0,
        // At most the first 48 bits, which a provider gives to one customer.
        Ok(std::net::IpAddr::V6(v6)) => v6.segments()[3..].iter().all(|part| *part == 0),
        Err(_) => false,
    };
    if is_cut {
        return Ok(());
    }
    let what = "is not cut short: write `203.0.113.0` or `2001:db8:1::`";
    Err(ConsentError::invalid(format!("{path}.ip_trunc"), what))
}

fn read<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, ConsentError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    // serde's own text may repeat a value.
    let what = "is not understood: it is unknown, missing or of another kind";
    let read: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        ConsentError::invalid(if path == "." { "$".to_owned() } else { path }, what)
    })?;
    reader.end().map_err(|_| ConsentError::invalid("$", "is followed by something else"))?;
    Ok(read)
}

/// Every text, every list and the whole are within their limits.
fn sizes(of: &impl serde::Serialize, most: usize) -> Result<(), ConsentError> {
    let value = serde_json::to_value(of).map_err(|_| ConsentError::invalid("$", "is no JSON"))?;
    walk("", "", &value)?;
    if value.to_string().len() > most {
        return Err(too_long("$"));
    }
    Ok(())
}

fn walk(path: &str, name: &str, value: &Value) -> Result<(), ConsentError> {
    match value {
        Value::String(text) => {
            let most = match name {
                "gpp_string" | "tcf_string" => MAX_TEXT_BYTES * 8,
                "url" | "api" => MAX_TEXT_BYTES * 2,
                _ => MAX_TEXT_BYTES,
            };
            if text.len() > most {
                return Err(ConsentError::invalid(path, format!("is longer than {most} bytes")));
            }
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(ConsentError::invalid(path, "is empty or has control characters"));
            }
            Ok(())
        }
        Value::Array(items) if items.len() > MAX_ITEMS => {
            Err(ConsentError::invalid(path, format!("has more than {MAX_ITEMS} items")))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(n, item)| walk(&format!("{path}[{n}]"), name, item)),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(&path, name, member)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn too_long(path: &str) -> ConsentError {
    ConsentError::invalid(path, format!("is longer than {MAX_RECORD_BYTES} bytes"))
}

/// Kinds of parties that are the person.
const SUBJECTS: [&str; 5] =
    ["subject", "data_subject", "data-subject", "pii_principal", "pii-principal"];
const MAX_QUESTION: usize = 64;
const MAX_WORD: usize = 64;
/// An event fits in one row of the state.
const MAX_EVENT_BYTES: usize = 12 * 1_024;
