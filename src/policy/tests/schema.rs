//! The schemas for editors against the readers, and against policies that are in use.

use serde_json::Value;

use super::NOW;
use super::dice::Dice;
use super::dice::Policy;
use super::file;
use super::report::SMALL;
use super::scene::WORDS;
use crate::policy::PolicySet;
use crate::policy::read_for_fuzzing;
use crate::policy::run_tests;
use crate::policy::schema;
use crate::types::Faults;
use crate::types::SourceFile;
use crate::types::doc;
use crate::types::doc::Node;

const POLICY: &str = include_str!("../../../policies/customer-care.yaml");
const TESTS: &str = include_str!("../../../policies/customer-care.test.yaml");

fn json(node: &Node) -> Value {
    match &node.value {
        doc::Value::Bool(yes) => (*yes).into(),
        doc::Value::List(items) => items.iter().map(json).collect(),
        doc::Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.to_string(), json(&entry.node))).collect()
        }
        doc::Value::Null => Value::Null,
        doc::Value::Number(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        doc::Value::Text(text) => (**text).into(),
    }
}

fn read(text: &str) -> Value {
    let source = SourceFile { name: "a.yaml".into(), text: text.into() };
    json(&doc::yaml(source.into(), &mut Faults::new()).unwrap())
}

/// As much of JSON Schema as ours use. Gives what does not fit, and where.
fn misfit(value: &Value, of: &Value, root: &Value, at: &str) -> Option<String> {
    if of == &Value::Bool(false) {
        return Some(format!("{at}: may not be there"));
    }
    if let Some(name) = of["$ref"].as_str() {
        return misfit(value, &root["$defs"][name.trim_start_matches("#/$defs/")], root, at);
    }
    if let Some(any) = of["anyOf"].as_array() {
        let misfits: Vec<_> = any.iter().map(|of| misfit(value, of, root, at)).collect();
        return misfits.iter().all(Option::is_some).then(|| format!("{at}: {misfits:?}"));
    }
    if let Some(words) = of["enum"].as_array() {
        return (!words.contains(value)).then(|| format!("{at}: {value} is none of {words:?}"));
    }
    if of.get("const").is_some_and(|only| only != value) {
        return Some(format!("{at}: {value}"));
    }
    let kind = match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        Value::String(_) => "string",
    };
    let fits = |wanted: &Value| wanted == kind || wanted == "integer" && value.as_i64().is_some();
    match &of["type"] {
        Value::Null => {}
        Value::Array(kinds) if kinds.iter().any(fits) => {}
        one if fits(one) => {}
        other => return Some(format!("{at}: {kind} is no {other}")),
    }
    if let Value::Array(items) = value
        && of.get("items").is_some()
    {
        return items.iter().find_map(|item| misfit(item, &of["items"], root, &format!("{at}[]")));
    }
    let Value::Object(map) = value else { return None };
    if of["type"] != "object" {
        return None;
    }
    let required = of["required"].as_array().into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        if !map.contains_key(key) {
            return Some(format!("{at}: needs {key}"));
        }
    }
    map.iter().find_map(|(key, value)| {
        let own = of["properties"].get(key).unwrap_or(&of["additionalProperties"]);
        misfit(value, own, root, &format!("{at}.{key}"))
    })
}

fn fits(text: &str, of: &Value) {
    assert_eq!(misfit(&read(text), of, of, ""), None);
}

#[test]
fn policies_and_tests_fit_their_schemas() {
    let policy = schema::policy();
    fits(POLICY, &policy);
    fits(SMALL, &policy);
    fits(WORDS, &policy);
    fits(TESTS, &schema::test());
    for seed in 0..100_u8 {
        let bytes: Vec<u8> =
            (0..200_u8).map(|at| at.wrapping_mul(seed).wrapping_add(seed)).collect();
        fits(&Policy::roll(&mut Dice(bytes.iter())).text(None, None), &policy);
    }
}

#[test]
fn slips_do_not_fit() {
    let policy = schema::policy();
    for (from, to) in [
        ("basis: contract", "bassis: contract"),
        ("basis: contract", "basis: whim"),
        ("can: [read]", "can: [reed]"),
        ("privet: policy/v1", "privet: policy/v2"),
        ("is_subject: true", "is_subject: false"),
        ("keep_last: 4", "keep_last: four"),
    ] {
        let text = SMALL.replacen(from, to, 1);
        assert_ne!(text, SMALL, "{from}");
        assert!(misfit(&read(&text), &policy, &policy, "").is_some(), "{to}");
    }
}

/// What readers ask for stands in the table of words, and the other way round.
#[test]
fn every_key_that_a_reader_asks_for_is_in_the_schema() {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("customer-care.yaml", POLICY)], NOW, &mut faults).unwrap();
    let tests = [file("customer-care.test.yaml", TESTS)];
    drop(run_tests(&set.into(), &tests, &super::render::Plain, &mut faults));
    // One of every map that stands in neither.
    read_for_fuzzing(EVERYTHING.as_bytes());
    drop(PolicySet::compile(&[file("a.yaml", EVERYTHING)], NOW, &mut faults));
    let asked = doc::asked::all();
    for (what, key) in &asked {
        let shape = schema::all().find(|shape| shape.what == *what);
        let shape = shape.unwrap_or_else(|| panic!("{what} is not in the table of words"));
        let is_known = shape.keys.iter().any(|(known, _)| known == key);
        assert!(is_known || shape.rest.is_some(), "{what} has `{key}`, which is not in the table");
    }
    for shape in schema::all() {
        for (key, _) in shape.keys {
            // The keys of the routes of files are asked for where a route is one.
            assert!(
                asked.contains(&(shape.what, *key)),
                "no reader asks {} for `{key}`",
                shape.what
            );
        }
    }
}

#[test]
fn the_schemas_are_pinned() {
    for (name, schema) in [("policy", schema::policy()), ("test", schema::test())] {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        insta::assert_snapshot!(format!("schema_{name}"), text);
    }
}

/// Maps that the shipped policy does not use.
const EVERYTHING: &str = r#"privet: policy/v1
region_groups: { NORTH: [NO, SE] }
categories: { user.contact.pager: { title: Pager, level: sensitive, flags: [personal] } }
recipients:
  mailer: { kind: processor, country: US, agreement: { ref: a, until: 2027-01-01 }, mechanisms: [ { kind: scc, for: [EEA], until: 2027-01-01 } ] }
purposes: { p: { basis: { default: contract, CN: consent }, consent: c } }
roles: { a: { claim: roles, has: a } }
views: { t: { pseudonymize: { scope: purpose } }, g: { generalize: { date: year } }, m: { mask: { keep_last: 1 } } }
data:
  s.letters:
    subject: [ { field: from, domain: person, fields: [from] }, { field: to, domain: person, fields: [to] } ]
    mode: { observe_until: 2027-01-01 }
    routes: [ { on: "GET /letters/{from}/file", records: opaque, field: text, of: "GET /letters/{from}" } ]
    fields: { from: { category: user.unique_id }, to: { category: user.unique_id }, text: { category: user.content.private, at_rest: encrypt, index: { field: text_index } } }
grants:
  - { id: g, roles: [a], purposes: [p], data: [s.letters], can: [read], levels: { sensitive: show }, needs: { mfa_within: 1 hour, approval: { by: a, for: 1 hour } }, valid: { from: 2026-01-01 } }
  - { id: h, roles: [a], purposes: [p], data: [s.letters], can: [read], levels: { sensitive: show }, needs: { break_glass: { for: 1 hour, review_by: a, review_within: 3 days } } }
limits:
  - { id: l, if: { levels: [critical] }, unless: { roles: [a] }, then: drop }
"#;
