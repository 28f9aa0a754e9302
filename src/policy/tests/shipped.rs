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
