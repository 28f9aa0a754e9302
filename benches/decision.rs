//! What a decision, a verdict and a plan look-up cost. Targets: a decision below 1 µs, a plan
//! look-up below 100 ns.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start says so")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use divan::Bencher;
use divan::black_box;
use privet::policy::Call;
use privet::policy::CardFacts;
use privet::policy::Decision;
use privet::policy::Identity;
use privet::policy::Permit;
use privet::policy::PolicyFile;
use privet::policy::PolicySet;
use privet::policy::RecordFacts;
use privet::policy::RecordSubject;
use privet::policy::Scratch;
use privet::policy::decide;
use privet::policy::verdict;
use privet::types::Action;
use privet::types::DomainId;
use privet::types::Faults;
use privet::types::Region;
use privet::types::Statuses;
use privet::types::SubjectId;
use privet::types::Timestamp;

fn main() {
    divan::main();
}

const NOW: Timestamp = Timestamp::from_unix_s(1_795_251_600);

fn policy() -> Arc<PolicySet> {
    let text = include_str!("../policies/customer-care.yaml").into();
    let files = [PolicyFile { name: "customer-care.yaml".into(), text }];
    Arc::new(PolicySet::compile(&files, NOW, &mut Faults::new()).unwrap())
}

fn identity(role: &str) -> Identity {
    let roles = vec![role.into(), "some-other-role".into()];
    Identity {
        owner: "https://id.example|42".into(),
        claims: BTreeMap::from([("roles".into(), roles), ("team".into(), vec!["north".into()])]),
        purposes: Some(vec!["order_support".into(), "subject_request".into()]),
        names_purposes: true,
        cleared: Arc::default(),
        region: Region::parse("GB"),
        recipient: None,
        mfa_at: Some(NOW),
        ticket: true,
        subject: DomainId::parse("person").ok().zip(SubjectId::parse("c-1002").ok()),
        expires: NOW.plus_ms(60_000),
    }
}

fn call<'a>(policy: &'a PolicySet, identity: &'a Identity, purpose: &'a str) -> Call<'a> {
    let set = policy.sets().first().unwrap();
    Call {
        identity,
        on_behalf_of: None,
        standing: Default::default(),
        purpose: Some(purpose),
        set,
        route: set.routes.first().unwrap(),
        action: Action::Read,
        selects_by: &[],
        gpc: false,
        now: NOW,
    }
}

fn permit(policy: &Arc<PolicySet>, identity: &Identity, purpose: &str) -> Permit {
    match decide(&call(policy, identity, purpose), policy) {
        Decision::Permit(permit) => Some(permit),
        Decision::Refuse(_) => None,
    }
    .unwrap()
}

/// A caller with two roles, one purpose and the shipped policy.
#[divan::bench]
fn decision(bencher: Bencher<'_, '_>) {
    let policy = policy();
    let identity = identity("support");
    let call = call(&policy, &identity, "order_support");
    bencher.bench_local(|| decide(black_box(&call), black_box(&policy)));
}

/// The same for a caller who may only see records about themselves.
#[divan::bench]
fn decision_of_a_subject(bencher: Bencher<'_, '_>) {
    let policy = policy();
    let identity = identity("customer");
    let call = call(&policy, &identity, "subject_request");
    bencher.bench_local(|| decide(black_box(&call), black_box(&policy)));
}

/// From a permit to its plan.
#[divan::bench]
fn plan_lookup(bencher: Bencher<'_, '_>) {
    let policy = policy();
    let permit = permit(&policy, &identity("support"), "order_support");
    bencher.bench_local(|| black_box(black_box(&permit).widest()));
}

/// Every condition of one record, and its plan.
#[divan::bench]
fn record_verdict(bencher: Bencher<'_, '_>) {
    judge(bencher, "support", "order_support");
}

/// The same where the grant itself depends on the record.
#[divan::bench]
fn record_verdict_of_a_subject(bencher: Bencher<'_, '_>) {
    judge(bencher, "customer", "subject_request");
}

fn judge(bencher: Bencher<'_, '_>, role: &str, purpose: &str) {
    let policy = policy();
    let permit = permit(&policy, &identity(role), purpose);
    let (consents, opt_outs) = (BTreeMap::new(), BTreeSet::new());
    let (status, consents, opt_outs) = (Statuses::ACTIVE, &consents, &opt_outs);
    let card = CardFacts { status, consents, opt_outs, representatives: &[] };
    let subjects = [RecordSubject { id: Some("c-1002"), card: Some(card) }];
    let region = Region::parse("GB");
    let facts = RecordFacts { subjects: &subjects, region, values: &[], now: NOW };
    let mut scratch = Scratch::new();
    bencher.bench_local(|| {
        let verdict = verdict(black_box(&permit), black_box(&facts), &mut scratch);
        black_box(&verdict);
    });
}
