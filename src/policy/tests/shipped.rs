//! The policy and tests that ship with the gateway.

use std::sync::Arc;

use super::NOW;
use super::file;
use super::render::Plain;
use super::told;
use crate::policy::PolicySet;
use crate::policy::TestReport;
use crate::policy::run_tests;
use crate::types::Faults;

const POLICY: &str = include_str!("../../../policies/customer-care.yaml");
const TESTS: &str = include_str!("../../../policies/customer-care.test.yaml");

fn run(policy: &str, tests: &str) -> TestReport {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("customer-care.yaml", policy)], NOW, &mut faults);
    assert!(set.is_some(), "{}", told(faults));
    let tests = [file("customer-care.test.yaml", tests)];
    let report = run_tests(&Arc::new(set.unwrap()), &tests, &Plain, &mut faults);
    assert!(!faults.has_errors(), "{}", told(faults));
    report
}

#[test]
fn the_shipped_policy_passes_its_tests() {
    let report = run(POLICY, TESTS);
    println!("{}", report.tree());
    assert_eq!(report.failed(), 0, "{}", report.tree());
    assert!(report.passed() > 25);
}

#[test]
fn the_shipped_policy_only_warns_about_lowered_levels() {
    let mut faults = Faults::new();
    drop(PolicySet::compile(&[file("a.yaml", POLICY)], NOW, &mut faults));
    for fault in faults.iter() {
        assert!(fault.what.contains("is lowered from"), "{fault}");
        assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
    }
}

/// Each change makes the policy wider or narrower, and some test must say so.
#[test]
fn the_shipped_tests_fail_when_the_policy_changes() {
    for (from, to) in [
        ("email: email-hint, phone", "email: show, phone"),
        ("find_by: [email]\n    fields", "fields"),
        ("needs: { mfa_within: 15 minutes, ticket: true }\n    fields", "fields"),
        ("caller_region_not: [CN], ", ""),
        ("if: { opted_out: true } ", "if: { opted_out: true, record_region: [FR] } "),
        (
            "basis: consent,          use: marketing.communications.email, consent: marketing",
            "basis: contract,         use: marketing.communications.email",
        ),
        ("fields: { id: stable-id", "fields: { id: show"),
        ("unless: { roles: [customer] }", "#"),
        ("unless: { purposes: [subject_request, legal_claims] }", "#"),
        ("needs: { mfa_within: 5 minutes }", "#"),
        ("can: [read, create, update]\n", "can: [read, create, update, delete]\n"),
        (
            "writes: [nickname, name, phone, address]",
            "writes: [nickname, name, phone, address, email]",
        ),
        ("can: [read, update, delete]", "can: [read, update]"),
        ("needs: { mfa_within: 15 minutes }\n", "\n"),
    ] {
        assert!(POLICY.contains(from), "`{from}` is no part of the policy");
        let report = run(&POLICY.replace(from, to), TESTS);
        assert!(report.failed() > 0, "`{from}` → `{to}`:\n{}", report.tree());
    }
}

#[test]
fn a_test_file_with_faults_is_told_about_all_of_them() {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("a.yaml", POLICY)], NOW, &mut faults);
    let tests = "privet: policy-test/v1
now: 2026-11-21T09:00:00Z
records: { ana: { data: shop.customer, value: {} } }
callers: { agent: { roles: [suport], mfa: never } }
tests:
  - { name: a, call: { as: agnet, for: order_support, read: ana }, expect: { decision: alow } }
  - { name: b, call: { as: agent, for: order_support }, expected: {} }
invariants:
  - { name: c, never: { rolls: [support] } }
  - { name: d, always: { fields: [nothing] } }
";
    let mut faults = Faults::new();
    let tests = [file("a.test.yaml", tests)];
    let report = run_tests(&Arc::new(set.unwrap()), &tests, &Plain, &mut faults);
    assert!(report.files.is_empty());
    let told = told(faults);
    for words in [
        "a.test.yaml:3:25: unknown data set `shop.customer`",
        "did you mean `shop.customers`?",
        "a.test.yaml:4:29: unknown role `suport`",
        "did you mean `support`?",
        "`never` is no length of time",
        "unknown caller `agnet`",
        "unknown decision `alow`",
        "a test has no `expected`",
        "`never` has no `rolls`",
        "no data set has a field `nothing`",
        "`always` needs `needs`",
    ] {
        assert!(told.contains(words), "`{words}` is not in:\n{told}");
    }
}

/// Tests with the same callers and records, and these examples.
fn told_of(examples: &str) -> String {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("p/a.yaml", POLICY)], NOW, &mut faults);
    let head = "privet: policy-test/v1
policy: a.yaml
now: 2026-11-21T09:00:00Z
records:
  ana: { data: shop.customers, value: { id: c-1, name: Ana, country: GB, cards: [ { pan: 1 } ], unlisted: x } }
callers: { agent: { roles: [support], region: GB } }
";
    let mut faults = Faults::new();
    let tests = [file("p/a.test.yaml", &format!("{head}{examples}"))];
    run_tests(&Arc::new(set.unwrap()), &tests, &Plain, &mut faults);
    told(faults)
}

#[test]
fn a_name_that_nothing_has_cannot_be_expected() {
    for (expect, words) in [
        ("gone: [nationl_id]", "did you mean `national_id`?"),
        ("gone: [cards.pan]", "did you mean `cards[*].pan`?"),
        ("gone: []", "this list is empty"),
        ("same: [idd]", "the data set has no field `idd`"),
        ("never_contains: []", "this list is empty"),
        ("record: { id: c-1, nmae: Ana }", "did you mean `name`?"),
        ("record_includes: { address: { ctiy: x } }", "did you mean `address.city`?"),
        ("record_includes: { cards: [ { pam: x } ] }", "did you mean `cards.pan`?"),
        ("by: [support-contct]", "did you mean `support-contact`?"),
        ("decision: deny, because: no_grnt", "did you mean `no_grant`?"),
        ("decision: deny, because: cn-stayz", "did you mean `cn-stays`?"),
        ("missing: [mfa]", "unknown need `mfa`"),
    ] {
        let test = format!(
            "tests: [ {{ name: a, call: {{ as: agent, for: order_support, read: ana }}, expect: {{ {expect} }} }} ]\n"
        );
        let told = told_of(&test);
        assert!(told.contains(words), "`{words}` is not told for `{expect}`:\n{told}");
    }
    let each = "tests: [ { name: a, call: { as: agent, for: order_support, read: $record }, each: [ { record: ana, gone: [nationl_id] } ] } ]\n";
    assert!(told_of(each).contains("did you mean `national_id`?"), "{}", told_of(each));
}

#[test]
fn names_that_something_has_can_be_expected() {
    for expect in [
        "gone: [national_id, cards, \"cards[*].pan\", address, address.street, unlisted]",
        "record_includes: { address: { city: x }, cards: [ { pan: x } ] }",
        "by: [support-contact, cn-stays]",
        "because: unknown_subject",
    ] {
        let test = format!(
            "tests: [ {{ name: a, call: {{ as: agent, for: order_support, read: ana }}, expect: {{ {expect} }} }} ]\n"
        );
        assert_eq!(told_of(&test), "", "{expect}");
    }
}

#[test]
fn a_call_cannot_be_for_a_purpose_that_is_not_there() {
    let call = |expect: &str| {
        told_of(&format!(
            "tests: [ {{ name: a, call: {{ as: agent, for: order_suport, read: ana }}, expect: {{ decision: deny{expect} }} }} ]\n"
        ))
    };
    assert!(call("").contains("did you mean `order_support`?"));
    assert_eq!(call(", because: unknown_purpose"), "");
}

#[test]
fn tests_name_a_policy_that_is_there() {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("p/care.yaml", POLICY)], NOW, &mut faults);
    let tests = "privet: policy-test/v1
policy: car.yaml
now: 2026-11-21T09:00:00Z
records: { ana: { data: shop.customers, value: {} } }
";
    let mut faults = Faults::new();
    let tests = [file("p/care.test.yaml", tests)];
    run_tests(&Arc::new(set.unwrap()), &tests, &Plain, &mut faults);
    let told = told(faults);
    assert!(told.contains("did you mean `care.yaml`?"), "{told}");
}

#[test]
fn one_record_is_the_same_as_nothing() {
    let head = "privet: policy-test/v1
now: 2026-11-21T09:00:00Z
records: { ana: { data: shop.customers, value: { id: c-1, name: Ana, country: GB } } }
callers: { agent: { roles: [support], region: GB } }
tests: [ { name: a, call: { as: agent, for: order_support, read: ana }, expect: { same: [id] } } ]
";
    assert_eq!(run(POLICY, head).failed(), 1);
    let report = run(POLICY, "privet: policy-test/v1\nnow: 2026-11-21T09:00:00Z\n");
    assert!(report.is_empty() && report.tree().contains("no tests were found"));
}
