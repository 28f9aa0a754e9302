//! Running example calls.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::policy::CardFacts;
use crate::policy::Decision;
use crate::policy::Permit;
use crate::policy::PolicySet;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::WriteVerdict;
use crate::policy::decide::Asked;
use crate::policy::verdict;
use crate::policy::write_verdict;
use crate::types::FieldPath;
use crate::types::Region;
use crate::types::Timestamp;

use super::Render;
use super::TestCase;
use super::example::Example;
use super::expect::Expect;
use super::expect::Word;
use super::json::any_at;
use super::json::at;
use super::json::includes;
use super::json::scalar;
use super::read::TestFile;
use super::read::TestRecord;
use super::world::standing;

/// Runs one example.
pub(super) fn run(
    example: &Example,
    file: &TestFile,
    policy: &Arc<PolicySet>,
    render: &dyn Render,
) -> TestCase {
    let mut failures = Vec::new();
    for (records, expect) in &example.reads {
        match observe(example, records, file, (policy, render)) {
            Some(seen) => compare(&seen, expect, &mut failures),
            None => failures.push("the caller or a record is not there".into()),
        }
    }
    TestCase {
        name: example.name.clone(),
        place: example.place.to_string(),
        failures,
        combinations: 1,
    }
}

/// What came of a call.
#[derive(Debug, Default)]
struct Seen {
    /// By record; one alone for a refusal.
    words: Vec<Word>,
    shown: Vec<Value>,
    /// By record that may be written: the fields that may be set.
    writes: Vec<Vec<FieldPath>>,
    by: Vec<String>,
    missing: Vec<&'static str>,
    /// What stood against it, by every name it has.
    because: Vec<String>,
}

fn observe(
    example: &Example,
    records: &[usize],
    file: &TestFile,
    (policy, render): (&Arc<PolicySet>, &dyn Render),
) -> Option<Seen> {
    let caller = |at: usize| file.callers.get(at).map(|(_, identity)| identity);
    let on_behalf_of = match example.on_behalf_of {
        Some(at) => Some(caller(at)?),
        None => None,
    };
    let identity = caller(example.caller)?;
    let asked = Asked {
        identity,
        on_behalf_of,
        standing: [Some(identity), on_behalf_of].map(|it| it.map(standing).unwrap_or_default()),
        purpose: example.purpose.as_deref(),
        default_purpose: example.default_purpose.as_ref(),
        set: example.set,
        action: example.action,
        selects_by: &example.selects_by,
        gpc: example.gpc,
        now: file.now,
    };
    let mut seen = Seen::default();
    let permit = match asked.decide(policy) {
        Decision::Permit(permit) => permit,
        Decision::Refuse(refusal) => {
            seen.words.push(Word::Deny);
            seen.because.push(refusal.reason.as_str().into());
            seen.because.extend(refusal.rule.map(|rule| rule.to_string()));
            seen.missing = refusal.missing;
            return Some(seen);
        }
    };
    for record in records {
        let (_, record) = file.records.get(*record)?;
        judge(record, &permit, file.now, &mut seen, render);
    }
    Some(seen)
}

fn judge(
    record: &TestRecord,
    permit: &Permit,
    now: Timestamp,
    seen: &mut Seen,
    render: &dyn Render,
) {
    let set = permit.set();
    let scalar_of = |ix| set.get(ix).and_then(|field| scalar(&record.value, &field.path));
    let card = CardFacts {
        status: record.status,
        consents: &record.consents,
        opt_outs: &record.opt_outs,
        representatives: &record.representatives,
    };
    let ids: Vec<Option<Cow<'_, str>>> =
        set.subjects.iter().map(|subject| scalar_of(subject.field)).collect();
    let subjects: Vec<RecordSubject<'_>> =
        ids.iter().map(|id| RecordSubject { id: id.as_deref(), card: Some(card) }).collect();
    let values: Vec<_> = permit.fact_fields().iter().map(|ix| scalar_of(*ix)).collect();
    let region = set.region.and_then(scalar_of).and_then(|text| Region::parse(&text));
    let facts = RecordFacts { subjects: &subjects, region, values: &values, now };
    let mut scratch = Scratch::new();
    if !permit.action().shows() {
        return write(permit, &facts, seen);
    }
    match verdict(permit, &facts, &mut scratch) {
        Verdict::LeaveOut { because } => {
            seen.words.push(Word::LeaveOut);
            seen.because.push(because.as_str().into());
        }
        Verdict::Release { views, .. } => {
            seen.words.push(Word::Allow);
            let shown = render.record(set, permit.purpose(), &record.value, views);
            seen.shown.push(shown.unwrap_or(Value::Null));
            seen.by.extend(permit.rules(&scratch).map(ToString::to_string));
        }
    }
}

fn write(permit: &Permit, facts: &RecordFacts<'_>, seen: &mut Seen) {
    let mut scratch = Scratch::new();
    match write_verdict(permit, facts, &mut scratch) {
        WriteVerdict::LeaveOut { because } => {
            seen.words.push(Word::LeaveOut);
            seen.because.push(because.as_str().into());
        }
        WriteVerdict::Allow { writable } => {
            let fields = permit.set().fields.iter().zip(writable).filter(|(_, may)| **may);
            seen.words.push(Word::Allow);
            seen.writes.push(fields.map(|(field, _)| field.path.clone()).collect());
            seen.by.extend(permit.rules(&scratch).map(ToString::to_string));
        }
    }
}

fn compare(seen: &Seen, expect: &Expect, failures: &mut Vec<String>) {
    if let Some(wanted) = expect.decision
        && !seen.words.iter().all(|word| *word == wanted)
    {
        let words: Vec<&str> = seen.words.iter().map(|word| word.as_str()).collect();
        let because = match seen.because.as_slice() {
            [] => String::new(),
            reasons => format!(" because {}", reasons.join(", ")),
        };
        let (wanted, words) = (wanted.as_str(), words.join(", "));
        failures.push(format!("expected {wanted}, got {words}{because}"));
    }
    if let Some(wanted) = &expect.because
        && !seen.because.contains(wanted)
    {
        let found = seen.because.join(", ");
        failures.push(format!("expected because `{wanted}`, got `{found}`"));
    }
    if let Some(wanted) = &expect.missing {
        let found: Vec<String> = seen.missing.iter().map(|word| String::from(*word)).collect();
        same_words("missing", wanted, &found, failures);
    }
    if let Some(wanted) = &expect.by {
        same_words("by", wanted, &seen.by, failures);
    }
    if let Some(wanted) = &expect.writes {
        if seen.writes.is_empty() {
            failures.push("expected a record that may be written, there is none".into());
        }
        for fields in &seen.writes {
            writes(wanted, fields, failures);
        }
    }
    shown(seen, expect, failures);
}

/// Compares what may be set: each field is within what is wanted, and all that is wanted is there.
fn writes(wanted: &[String], found: &[FieldPath], failures: &mut Vec<String>) {
    let paths: Vec<_> = wanted.iter().filter_map(|path| FieldPath::parse(path).ok()).collect();
    let covers = |path: &FieldPath| found.iter().any(|field| field.is_within(path));
    let known = |field: &FieldPath| paths.iter().any(|path| field.is_within(path));
    if paths.len() != wanted.len() || !paths.iter().all(covers) || !found.iter().all(known) {
        let found: Vec<&str> = found.iter().map(FieldPath::as_str).collect();
        let (wanted, found) = (wanted.join(", "), found.join(", "));
        failures.push(format!("expected to set [{wanted}], may set [{found}]"));
    }
}

/// Compares what is shown. An expectation about a record fails when no record is shown.
fn shown(seen: &Seen, expect: &Expect, failures: &mut Vec<String>) {
    let wants_record = expect.record.is_some()
        || expect.record_includes.is_some()
        || expect.gone.is_some()
        || expect.same.is_some();
    if wants_record && seen.shown.is_empty() {
        failures.push("expected a record, none is shown".into());
    }
    for shown in &seen.shown {
        if let Some(wanted) = &expect.record
            && wanted != shown
        {
            failures.push(format!("expected {wanted}, got {shown}"));
        }
        if let Some(wanted) = &expect.record_includes
            && !includes(shown, wanted)
        {
            failures.push(format!("expected {wanted} within, got {shown}"));
        }
        for path in expect.gone.iter().flatten().filter(|path| any_at(shown, path)) {
            failures.push(format!("expected `{path}` to be gone, got {shown}"));
        }
        let text = shown.to_string();
        for part in expect.never_contains.iter().flatten().filter(|part| text.contains(*part)) {
            failures.push(format!("expected `{part}` nowhere, got {shown}"));
        }
    }
    for path in expect.same.iter().flatten() {
        if seen.shown.len() == 1 {
            failures.push(format!("expected the same `{path}` in every record, one is shown"));
        }
        let mut values = seen.shown.iter().map(|shown| at(shown, path));
        let first = values.next().flatten();
        if first.is_none() || !values.all(|value| value == first) {
            failures.push(format!("expected the same `{path}` in every record"));
        }
    }
}

/// Compares words whatever their order, and however often.
fn same_words(what: &str, wanted: &[String], found: &[String], failures: &mut Vec<String>) {
    let has_all = |a: &[String], b: &[String]| a.iter().all(|word| b.contains(word));
    if !has_all(wanted, found) || !has_all(found, wanted) {
        let (wanted, found) = (wanted.join(", "), found.join(", "));
        failures.push(format!("expected {what} [{wanted}], got [{found}]"));
    }
}
