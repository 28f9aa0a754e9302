//! Approvals and broken glass over time, between people, and across a restart.

use std::sync::Arc;

use super::*;
use crate::keys::KeyRing;
use crate::policy::Clearable;
use crate::policy::ClearanceKind;
use crate::policy::Identity;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::AccordError;
use crate::types::DomainId;
use crate::types::Faults;
use crate::types::PurposeId;
use crate::types::SubjectId;
use crate::types::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const POLICY: &str = "privet: policy/v1
purposes: { help: { basis: contract }, fraud: { basis: contract } }
roles: { agent: { claim: roles, has: agent }, dpo: { claim: roles, has: dpo }, me: { is_subject: true } }
data: { s.people: { subject: { field: id, domain: person }, fields: { id: { category: user.unique_id } } } }
grants:
  - { id: asks, roles: [agent], purposes: [help, fraud], data: [s.people], can: [read], fields: { id: show }, needs: { approval: { by: dpo, for: 1 hour } } }
  - { id: own, roles: [me], purposes: [help], data: [s.people], can: [read], fields: { id: show }, needs: { approval: { by: dpo, for: 1 hour } }, valid: { until: 2027-01-16 } }
  - { id: glass, roles: [agent], purposes: [help], data: [s.people], can: [read], fields: { id: show }, needs: { break_glass: { for: 30 minutes, review_by: dpo, review_within: 3 days } } }
  - { id: plain, roles: [agent], purposes: [help], data: [s.people], can: [read], fields: { id: show } }
";

fn policy() -> PolicySet {
    let mut faults = Faults::new();
    let file = PolicyFile { name: "a.yaml".into(), text: POLICY.into() };
    PolicySet::compile(&[file], NOW, &mut faults).unwrap()
}

fn who(owner: &str) -> Identity {
    Identity {
        owner: owner.into(),
        claims: [("roles".into(), vec!["agent".into()])].into(),
        purposes: None,
        names_purposes: false,
        cleared: Arc::default(),
        region: None,
        recipient: None,
        mfa_at: None,
        ticket: false,
        subject: None,
        expires: NOW.plus_ms(DAY),
    }
}

fn person(owner: &str, id: &str) -> Identity {
    let subject = (DomainId::parse("person").unwrap(), SubjectId::parse(id).unwrap());
    Identity { subject: Some(subject), ..who(owner) }
}

struct Desk {
    keys: KeyRing,
    state: Engine,
    approvals: Approvals,
    policy: PolicySet,
}

impl Desk {
    fn new() -> Self {
        let (keys, state) = (KeyRing::locking(Engine::memory()), Engine::memory());
        let approvals = Approvals::empty(keys.clone(), state.clone());
        Self { keys, state, approvals, policy: policy() }
    }

    fn people(&self, owner: &str) -> People {
        self.approvals.people(&who(owner))
    }

    fn asked(&self, grant: &str) -> Asked<'_> {
        let grant = self.policy.clearable(grant).unwrap();
        Asked { grant, purpose: None, case: "C-1", why: "complaint" }
    }

    async fn settle(
        &self,
        settling: Result<Settling, ApprovalError>,
        now: Timestamp,
    ) -> Result<String, String> {
        let settling = settling.map_err(|error| error.to_string())?;
        let id = settling.id.to_string();
        self.approvals.settle(settling, now).await.map_err(|error| error.to_string())?;
        Ok(id)
    }

    async fn request(&self, owner: &str, now: Timestamp) -> Result<String, String> {
        let who = self.people(owner);
        self.settle(self.approvals.request(&who, self.asked("asks"), now), now).await
    }

    async fn break_glass(&self, owner: &str, now: Timestamp) -> Result<String, String> {
        let who = self.people(owner);
        self.settle(self.approvals.break_glass(&who, self.asked("glass"), now), now).await
    }

    async fn approve(&self, id: &str, owner: &str, now: Timestamp) -> Result<String, String> {
        let by = self.people(owner);
        self.settle(self.approvals.approve(id, (&by, 3600), now), now).await
    }

    async fn review(&self, id: &str, owner: &str, now: Timestamp) -> Result<String, String> {
        let by = self.people(owner);
        let found = (&by, Finding::Justified, "it was needed");
        self.settle(self.approvals.review(id, found, now), now).await
    }

    fn state(&self, id: &str, now: Timestamp) -> &'static str {
        self.approvals.find(id).unwrap().state(now).as_str()
    }

    /// The grants that are in force for somebody.
    fn cleared(&self, owner: &str, now: Timestamp) -> Vec<String> {
        let identity = self.approvals.cleared(&who(owner));
        let cleared = identity.map(|identity| identity.cleared.to_vec()).unwrap_or_default();
        let in_force = cleared.iter().filter(|it| it.from <= now && now < it.until);
        in_force.map(|it| it.grant.to_string()).collect()
    }
}

#[tokio::test]
async fn an_approval_by_another_counts_from_then_on_for_its_time() {
    let desk = Desk::new();
    let id = desk.request("https://id|ada", NOW).await.unwrap();
    assert_eq!(desk.state(&id, NOW), "waiting");
    assert!(desk.cleared("https://id|ada", NOW).is_empty());
    let later = NOW.plus_ms(2 * HOUR);
    desk.approve(&id, "https://id|ben", later).await.unwrap();
    assert_eq!(desk.state(&id, later), "in_force");
    assert_eq!(desk.cleared("https://id|ada", later), ["asks"]);
    // Of its requester alone, and letter for letter.
    assert!(desk.cleared("https://id|ben", later).is_empty());
    assert!(desk.cleared("https://id|Ada", later).is_empty());
    let end = later.plus_ms(HOUR);
    assert_eq!(
        desk.cleared("https://id|ada", Timestamp::from_unix_ms(end.unix_ms() - 1)),
        ["asks"]
    );
    assert!(desk.cleared("https://id|ada", end).is_empty());
    assert_eq!(desk.state(&id, end), "over");
    let again = desk.approve(&id, "https://id|ben", end).await.unwrap_err();
    assert!(again.contains("approved or used already"), "{again}");
}

#[tokio::test]
async fn nobody_agrees_with_themselves_under_any_name() {
    let desk = Desk::new();
    let id = desk.request("https://id|ada", NOW).await.unwrap();
    for own in ["https://id|ada", "https://id|ADA", "HTTPS://ID|ada"] {
        let error = desk.approve(&id, own, NOW).await.unwrap_err();
        assert!(error.contains("a second person must"), "{own}: {error}");
        let by = desk.people(own);
        let refused = desk.approvals.refuse(&id, &by, NOW).unwrap_err();
        assert!(matches!(refused, ApprovalError::Accord(AccordError::Own)), "{own}");
    }
    // The same person by another issuer.
    let asked = desk.approvals.people(&person("https://id|ada", "p-1"));
    let made = desk.approvals.request(&asked, desk.asked("asks"), NOW);
    let id = desk.settle(made, NOW).await.unwrap();
    let other = desk.approvals.people(&person("https://other|x", "p-1"));
    let error = desk.approvals.approve(&id, (&other, 3600), NOW).unwrap_err();
    assert!(matches!(error, ApprovalError::Accord(AccordError::Own)));
    let another = desk.approvals.people(&person("https://other|x", "p-2"));
    desk.approvals.approve(&id, (&another, 3600), NOW).unwrap();
    let glass = desk.break_glass("https://id|ada", NOW).await.unwrap();
    let own = desk.review(&glass, "https://id|Ada", NOW).await.unwrap_err();
    assert!(own.contains("a second person must"), "{own}");
}

#[tokio::test]
async fn what_is_taken_back_refused_or_late_counts_no_more() {
    let desk = Desk::new();
    let by = desk.people("https://id|ben");
    let revoked = desk.request("https://id|ada", NOW).await.unwrap();
    desk.approve(&revoked, "https://id|ben", NOW).await.unwrap();
    desk.settle(desk.approvals.revoke(&revoked, &by, NOW), NOW).await.unwrap();
    assert!(desk.cleared("https://id|ada", NOW).is_empty());
    assert_eq!(desk.state(&revoked, NOW), "revoked");
    assert!(desk.approve(&revoked, "https://id|ben", NOW).await.is_err());
    assert!(desk.approvals.revoke(&revoked, &by, NOW).is_err(), "once");

    let refused = desk.request("https://id|ada", NOW).await.unwrap();
    desk.settle(desk.approvals.refuse(&refused, &by, NOW), NOW).await.unwrap();
    assert_eq!(desk.state(&refused, NOW), "refused");
    assert!(desk.approve(&refused, "https://id|ben", NOW).await.is_err());

    let late = desk.request("https://id|ada", NOW).await.unwrap();
    let error = desk.approve(&late, "https://id|ben", NOW.plus_ms(DAY)).await.unwrap_err();
    assert!(error.contains("expired"), "{error}");
    assert_eq!(desk.state(&late, NOW.plus_ms(DAY)), "expired");
    assert!(desk.approve("0".repeat(32).as_str(), "https://id|ben", NOW).await.is_err());
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let desk = Desk::new();
    let id = desk.request("https://id|ada", NOW).await.unwrap();
    let (ben, eve) = (desk.people("https://id|ben"), desk.people("https://id|eve"));
    let approved = desk.approvals.approve(&id, (&ben, 3600), NOW);
    let refused = desk.approvals.refuse(&id, &eve, NOW);
    desk.settle(refused, NOW).await.unwrap();
    let error = desk.settle(approved, NOW).await.unwrap_err();
    assert!(error.contains("changed at the same moment"), "{error}");
    assert_eq!(desk.state(&id, NOW), "refused");
    assert!(desk.cleared("https://id|ada", NOW).is_empty());
}

#[tokio::test]
async fn broken_glass_counts_at_once_and_must_be_reviewed_in_time() {
    let desk = Desk::new();
    let id = desk.break_glass("https://id|ada", NOW).await.unwrap();
    assert_eq!(desk.cleared("https://id|ada", NOW), ["glass"]);
    assert!(desk.cleared("https://id|ada", NOW.plus_ms(30 * MINUTE)).is_empty());
    let row = desk.approvals.find(&id).unwrap();
    assert_eq!((row.kind(), row.review_state(NOW)), (ClearanceKind::BreakGlass, ReviewState::Due));
    let error = desk.approve(&id, "https://id|ben", NOW).await.unwrap_err();
    assert!(error.contains("not approved; it is reviewed"), "{error}");
    // Another is broken while the first can still be reviewed.
    let second = desk.break_glass("https://id|ada", NOW.plus_ms(DAY)).await.unwrap();
    let due = NOW.plus_ms(3 * DAY);
    assert!(desk.approvals.newly_overdue(Timestamp::from_unix_ms(due.unix_ms() - 1)).is_empty());
    for owner in ["https://id|ada", "https://id|ADA"] {
        let error = desk.break_glass(owner, due).await.unwrap_err();
        assert!(error.contains("must be reviewed first"), "{owner}: {error}");
    }
    desk.break_glass("https://id|ben", due).await.unwrap();
    // Told once, and not again after a restart.
    let news = desk.approvals.newly_overdue(due);
    assert_eq!(news.iter().map(|news| &*news.id).collect::<Vec<_>>(), [&*id]);
    assert_eq!(desk.approvals.metrics().reviews_overdue.get(), 1);
    for settling in news {
        desk.approvals.settle(settling, due).await.unwrap();
    }
    assert!(desk.approvals.newly_overdue(due).is_empty());
    let reopened = Approvals::open(desk.keys.clone(), desk.state.clone(), due).await.unwrap();
    assert!(reopened.newly_overdue(due).is_empty());
    desk.review(&id, "https://id|eve", due).await.unwrap();
    assert_eq!(desk.approvals.find(&id).unwrap().review_state(due), ReviewState::Done);
    let again = desk.review(&id, "https://id|eve", due).await.unwrap_err();
    assert!(again.contains("reviewed already"), "{again}");
    desk.review(&second, "https://id|eve", due).await.unwrap();
    desk.break_glass("https://id|ada", due).await.unwrap();
    let approval = desk.request("https://id|ada", due).await.unwrap();
    assert!(desk.review(&approval, "https://id|eve", due).await.is_err());
}

#[tokio::test]
async fn a_restart_keeps_what_is_in_force_and_what_is_owed() {
    let desk = Desk::new();
    let id = desk.request("https://id|ada", NOW).await.unwrap();
    desk.approve(&id, "https://id|ben", NOW).await.unwrap();
    let glass = desk.break_glass("https://id|ada", NOW).await.unwrap();
    let approvals = Approvals::open(desk.keys.clone(), desk.state.clone(), NOW).await.unwrap();
    let desk = Desk { approvals, ..desk };
    assert_eq!(desk.cleared("https://id|ada", NOW).len(), 2);
    assert_eq!(desk.approvals.metrics().in_force.get(), 2);
    assert!(desk.break_glass("https://id|ada", NOW.plus_ms(3 * DAY)).await.is_err());
    desk.review(&glass, "https://id|ben", NOW).await.unwrap();
    // Long after, both are gone from the list once something else is written.
    let after = NOW.plus_ms(200 * DAY);
    desk.request("https://id|eve", after).await.unwrap();
    assert_eq!(desk.approvals.list().len(), 1);
    let page = desk.state.scan(b"approval/", None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_the_start() {
    let desk = Desk::new();
    let id = desk.request("https://id|ada", NOW).await.unwrap();
    let key = [b"approval/", id.as_bytes()].concat();
    let row = String::from_utf8(desk.state.get(&key).await.unwrap().unwrap().value).unwrap();
    for odd in [
        "{}".to_owned(),
        row.replace("\"v\":1", "\"v\":2"),
        row.replace("\"kind\":\"approval\"", "\"kind\":\"anything\""),
        row.replacen('{', "{\"more\":1,", 1),
    ] {
        assert_ne!(odd, row);
        let mut tx = Tx::new();
        tx.put(&key, odd.clone().into_bytes(), Expect::Any);
        desk.state.commit(tx).await.unwrap();
        let opened = Approvals::open(desk.keys.clone(), desk.state.clone(), NOW).await;
        assert!(opened.is_err(), "{odd}");
    }
}

#[tokio::test]
async fn one_person_has_only_so_many_and_says_why() {
    let desk = Desk::new();
    let who = desk.people("https://id|ada");
    for (case, why) in [("", "x"), ("C-1", " "), ("C-1", "two\nlines")] {
        let asked = Asked { case, why, ..desk.asked("asks") };
        assert!(desk.approvals.request(&who, asked, NOW).is_err(), "{case:?} {why:?}");
    }
    for _ in 0..20 {
        desk.request("https://id|ada", NOW).await.unwrap();
    }
    let error = desk.request("https://id|ADA", NOW).await.unwrap_err();
    assert!(error.contains("20 requests"), "{error}");
    desk.request("https://id|ben", NOW).await.unwrap();
    desk.request("https://id|ada", NOW.plus_ms(DAY)).await.unwrap();
}

#[test]
fn a_grant_is_asked_for_by_those_who_could_use_it() {
    let policy = policy();
    let names: Vec<&str> = policy.clearables().map(|grant| grant.grant().as_str()).collect();
    assert_eq!(names, ["asks", "own", "glass"]);
    assert!(policy.clearable("plain").is_none() && policy.clearable("none").is_none());
    let asks = policy.clearable("asks").unwrap();
    let own = policy.clearable("own").unwrap();
    let nobody = Identity { claims: [].into(), ..who("x") };
    let is_for = |grant: &Clearable<'_>, who: &Identity| grant.is_for(who);
    assert!(is_for(&asks, &who("x")) && !is_for(&own, &who("x")));
    assert!(!is_for(&asks, &nobody) && !is_for(&own, &nobody));
    assert!(is_for(&own, &Identity { claims: [].into(), ..person("x", "p-1") }));
    let purposes: Vec<&str> = asks.purposes().map(PurposeId::as_str).collect();
    assert_eq!(purposes, ["help", "fraud"]);
    // 2027-01-15T08:00:00Z is a day before the end of `own`.
    assert!(own.is_in_force(NOW) && !own.is_in_force(NOW.plus_ms(2 * DAY)));
}
