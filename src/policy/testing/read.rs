//! Test files as written.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::policy::Clearable;
use crate::policy::Clearance;
use crate::policy::ClearanceKind;
use crate::policy::Identity;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::policy::source::Holds;
use crate::policy::source::ids;
use crate::types::Consent;
use crate::types::ConsentForm;
use crate::types::DomainId;
use crate::types::Faults;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::Representative;
use crate::types::RepresentativeKind;
use crate::types::SourceFile;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value as Written;
use crate::types::doc::yaml;

use super::example;
use super::example::Example;
use super::invariant;
use super::invariant::Invariant;
use super::json::json;
use super::world::reference;

/// A test file.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) now: Timestamp,
    pub(super) records: Vec<(Box<str>, TestRecord)>,
    pub(super) callers: Vec<(Box<str>, Identity)>,
    pub(super) examples: Vec<Example>,
    pub(super) invariants: Vec<Invariant>,
}

/// A record with what is known of its subjects: they all share it.
#[derive(Debug)]
pub(super) struct TestRecord {
    /// The data set's position.
    pub(super) set: usize,
    pub(super) value: Value,
    pub(super) status: Statuses,
    pub(super) consents: BTreeMap<Box<str>, Consent>,
    pub(super) opt_outs: BTreeSet<Box<str>>,
    pub(super) representatives: Vec<Representative>,
}

/// Reads a test file; `None` when it has faults.
pub(super) fn read(file: &PolicyFile, policy: &PolicySet, faults: &mut Faults) -> Option<TestFile> {
    let mut own = Faults::new();
    let read = try_read(file, policy, &mut own);
    let usable = !own.has_errors();
    faults.extend(own);
    read.filter(|_| usable)
}

fn try_read(file: &PolicyFile, policy: &PolicySet, faults: &mut Faults) -> Option<TestFile> {
    let source = Arc::new(SourceFile { name: file.name.clone(), text: file.text.clone() });
    let root = yaml(source, faults)?;
    let mut map = MapReader::new(&root, "a policy test", faults)?;
    if let Some(node) = map.required("privet", faults)
        && node.as_text() != Some("policy-test/v1")
    {
        let what = "this is no policy test of a known version";
        faults.error(&node.place, what, "write `policy-test/v1`");
    }
    // For the reader: the whole folder is one policy.
    if let Some(node) = map.optional("policy") {
        is_there(node, &file.name, policy, faults);
    }
    let now = map.required("now", faults).and_then(|node| node.moment(faults));
    let (records, callers) = (map.optional("records"), map.optional("callers"));
    let (tests, invariants) = (map.optional("tests"), map.optional("invariants"));
    map.finish(faults);
    let now = now?;
    let records = named(records, faults, |node, faults| record(node, policy, faults));
    let callers = named(callers, faults, |node, faults| caller(node, policy, now, faults));
    let mut read = TestFile { now, records, callers, examples: Vec::new(), invariants: Vec::new() };
    for node in tests.and_then(|node| node.list(faults)).unwrap_or_default() {
        read.examples.extend(example::read(node, &read, policy, faults));
    }
    for node in invariants.and_then(|node| node.list(faults)).unwrap_or_default() {
        read.invariants.extend(invariant::read(node, policy, faults));
    }
    Some(read)
}

/// A policy file is named from the folder of its tests.
fn is_there(node: &Node, tests: &str, policy: &PolicySet, faults: &mut Faults) {
    let folder = tests.rfind('/').and_then(|end| tests.get(..=end)).unwrap_or("");
    let known: Vec<&str> = policy.files().iter().map(|file| file.name.as_str()).collect();
    let known: Vec<&str> =
        known.iter().map(|name| name.strip_prefix(folder).unwrap_or(name)).collect();
    let find = |text: &str| known.contains(&text.trim_start_matches("./")).then_some(());
    node.word("policy file", find, &known, faults);
}

fn named<T>(
    node: Option<&Node>,
    faults: &mut Faults,
    mut read: impl FnMut(&Node, &mut Faults) -> Option<T>,
) -> Vec<(Box<str>, T)> {
    let entries = node.and_then(|node| node.map(faults)).unwrap_or_default();
    let values = entries.iter().map(|e| Some((e.key.clone(), read(&e.node, faults)?)));
    values.flatten().collect()
}

fn record(node: &Node, policy: &PolicySet, faults: &mut Faults) -> Option<TestRecord> {
    let mut map = MapReader::new(node, "a record", faults)?;
    let known = ids(policy.sets(), |set| set.id.as_str());
    let set = map.required("data", faults).and_then(|node| {
        let find = |text: &str| known.iter().position(|id| *id == text);
        node.word("data set", find, &known, faults)
    });
    let value = map.required("value", faults).map(json);
    let words = SubjectStatus::ALL.map(SubjectStatus::as_str);
    let status = map.optional("status").map(|node| statuses(node, &words, faults));
    let mut texts = |key| {
        let texts = map.optional(key).map(|node| node.texts(faults)).unwrap_or_default();
        texts.into_iter().map(|(_, text)| Box::from(text)).collect::<Vec<Box<str>>>()
    };
    let (consents, opt_outs) = (texts("consents"), texts("opt_outs"));
    let form = map.optional("consent_form").map(|node| form(node, faults)).unwrap_or_default();
    let representatives = map.optional("representatives");
    let representatives = representatives.map(|node| self::representatives(node, faults));
    map.finish(faults);
    let given = |name| (name, Consent::Given { until: None, form });
    Some(TestRecord {
        set: set?,
        value: value?,
        status: status.unwrap_or_default(),
        consents: consents.into_iter().map(given).collect(),
        opt_outs: opt_outs.into_iter().collect(),
        representatives: representatives.unwrap_or_default(),
    })
}

/// `{ p-1: guardian }`: who may act for the record's people, by their ids.
fn representatives(node: &Node, faults: &mut Faults) -> Vec<Representative> {
    let known = RepresentativeKind::ALL.map(RepresentativeKind::as_str);
    let Ok(domain) = DomainId::parse("person") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in node.map(faults).unwrap_or_default() {
        let Ok(id) = SubjectId::parse(&entry.key) else {
            faults.error(&entry.key_place, "this is no id of a person", "");
            continue;
        };
        let what = "kind of representative";
        let kind = entry.node.word(what, RepresentativeKind::parse, &known, faults);
        found.extend(kind.map(|kind| Representative {
            who: reference(&domain, &id),
            kind,
            until: Timestamp::from_unix_ms(u64::MAX),
            proof: "".into(),
        }));
    }
    found
}

/// One status, or a list of what a person is at once.
fn statuses(node: &Node, words: &[&str], faults: &mut Faults) -> Statuses {
    let texts = node.texts(faults);
    let read = texts.iter().filter_map(|(item, _)| {
        let status = item.word("status", SubjectStatus::parse, words, faults)?;
        let is_alone = matches!(status, SubjectStatus::Active | SubjectStatus::Erased);
        if is_alone && texts.len() > 1 {
            faults.error(&item.place, format!("`{status}` stands alone"), "leave out the others");
        }
        Some(status)
    });
    read.collect()
}

/// Reads `consent_form: [separate, by_guardian]`: the form of all consents of the record.
fn form(node: &Node, faults: &mut Faults) -> ConsentForm {
    let mut form = ConsentForm::default();
    for item in node.one_or_list() {
        let find = |text: &str| FORMS.iter().position(|word| *word == text);
        match item.word("form of consent", find, &FORMS, faults) {
            Some(0) => form.separate = true,
            Some(_) => form.by_guardian = true,
            None => {}
        }
    }
    form
}

const FORMS: [&str; 2] = ["separate", "by_guardian"];

fn caller(
    node: &Node,
    policy: &PolicySet,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Identity> {
    let mut map = MapReader::new(node, "a caller", faults)?;
    let mut claims: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
    for entry in map.optional("claims").and_then(|node| node.map(faults)).unwrap_or_default() {
        let values = entry.node.texts(faults).into_iter().map(|(_, text)| text.into());
        claims.insert(entry.key.clone(), values.collect());
    }
    let roles = map.optional("roles");
    for role in roles.map(|node| self::roles(node, policy, faults)).unwrap_or_default() {
        let Holds::Claim { claim, has } = role else { continue };
        claims.entry(claim.clone()).or_default().push(has.clone());
    }
    let region = map.optional("region").and_then(|node| {
        let region = Region::parse(node.text(faults)?);
        if region.is_none() {
            faults.error(&node.place, "this is no country", "write two letters, such as `GB`");
        }
        region
    });
    // One that the policy does not know is what the example may be about.
    let recipient = map.optional("recipient").and_then(|n| n.id(RecipientId::parse, faults));
    let mfa_at = map.optional("mfa").and_then(|node| ago(node, now, faults));
    let ticket = map.optional("ticket").is_some();
    let mut cleared = Vec::new();
    for (key, kind) in
        [("approved", ClearanceKind::Approval), ("broke_glass", ClearanceKind::BreakGlass)]
    {
        if let Some(node) = map.optional(key) {
            cleared.extend(clearances(node, kind, (policy, now), faults));
        }
    }
    let domain = map.optional("domain").and_then(|node| node.id(DomainId::parse, faults));
    let domain = domain.or_else(|| DomainId::parse("person").ok());
    let subject = map.optional("subject").and_then(|node| node.id(SubjectId::parse, faults));
    let purposes = map.optional("purposes").map(|node| {
        let texts = node.texts(faults);
        texts.into_iter().map(|(_, text)| Box::from(text)).collect()
    });
    map.finish(faults);
    Some(Identity {
        owner: "caller of a test".into(),
        claims,
        names_purposes: purposes.is_some(),
        cleared: cleared.into(),
        purposes,
        region,
        recipient,
        mfa_at,
        ticket,
        subject: domain.zip(subject),
        expires: Timestamp::from_unix_ms(u64::MAX),
    })
}

/// What the roles in a list take.
fn roles<'p>(node: &Node, policy: &'p PolicySet, faults: &mut Faults) -> Vec<&'p Holds> {
    let roles = &policy.model().roles;
    let known = ids(roles, |role| role.id.as_str());
    let find = |text: &str| roles.iter().find(|role| role.id.as_str() == text).map(|r| &r.holds);
    let texts = node.texts(faults);
    texts.iter().filter_map(|(item, _)| item.word("role", find, &known, faults)).collect()
}

/// Reads `true`, for every grant that needs it, or a list of grants that do.
fn clearances(
    node: &Node,
    kind: ClearanceKind,
    (policy, now): (&PolicySet, Timestamp),
    faults: &mut Faults,
) -> Vec<Clearance> {
    let needing = || policy.clearables().filter(|grant| grant.clearing().kind == kind);
    let given = |grant: Clearable<'_>| grant.clearing().given(grant.grant(), now);
    if matches!(node.value, Written::Bool(true)) {
        return needing().map(given).collect();
    }
    let known: Vec<&str> = needing().map(|grant| grant.grant().as_str()).collect();
    let find = |text: &str| needing().find(|grant| grant.grant().as_str() == text).map(given);
    let what = format!("grant with `needs: {{ {} }}`", kind.as_str());
    let texts = node.texts(faults);
    texts.iter().filter_map(|(item, _)| item.word(&what, find, &known, faults)).collect()
}

/// Reads `4 minutes ago` or `now`.
fn ago(node: &Node, now: Timestamp, faults: &mut Faults) -> Option<Timestamp> {
    let text = node.text(faults)?;
    if text == "now" {
        return Some(now);
    }
    let length = text.strip_suffix(" ago").unwrap_or(text);
    let length = Node { place: node.place.clone(), value: Written::Text(length.into()) };
    let seconds = length.seconds(faults)?;
    Some(Timestamp::from_unix_ms(now.unix_ms().saturating_sub(seconds.saturating_mul(1000))))
}
