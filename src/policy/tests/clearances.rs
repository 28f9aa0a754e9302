//! Approvals, broken glass, dates of grants and privacy signals, told in examples.

use super::NOW;
use super::compile;
use super::faults_of;
use super::file;
use super::render::Plain;
use super::scene::WORDS;
use super::scene::check;
use super::scene::identity;
use super::told;
use crate::policy::Call;
use crate::policy::ClearanceKind;
use crate::policy::Decision;
use crate::policy::Permit;
use crate::policy::decide;
use crate::policy::run_tests;
use crate::types::Action;
use crate::types::Faults;

const GRANTS: &str = "grants:
  - { id: asks, roles: [agent], purposes: [support, fraud], data: [shop.people], can: [read], fields: { mail: show }, needs: { approval: { by: boss, for: 1 hour } } }
  - { id: glass, roles: [vip], purposes: [support], data: [shop.people], can: [read], fields: { health: show }, needs: { mfa_within: 15 minutes, break_glass: { for: 30 minutes, review_by: boss, review_within: 3 days } } }
";

#[test]
fn an_approval_counts_for_its_grant_purpose_role_and_time_and_for_nothing_else() {
    check(
        GRANTS,
        &[
            ("agent for support", "", "deny: needs asks [approval]"),
            ("agent for support approved=asks", "ana", "mail=show (clear)"),
            ("agent for fraud approved=asks", "", "permit: asks for fraud"),
            ("agent for support approved=asks::support", "", "permit: asks for support"),
            ("agent for fraud approved=asks::support", "", "deny: needs asks [approval]"),
            ("agent for support approved=asks:vip", "", "deny: needs asks [approval]"),
            ("agent for support approved=glass", "", "deny: needs asks [approval]"),
            ("agent for support glass=asks", "", "deny: needs asks [approval]"),
            // From its first moment to before its last.
            ("agent for support approved=asks:::1:30", "", "deny: needs asks [approval]"),
            ("agent for support approved=asks:::-30:1", "", "permit: asks for support"),
            ("agent for support approved=asks:::-30:0", "", "deny: needs asks [approval]"),
            // Never longer than the policy says now, whatever it said then.
            ("agent for support approved=asks:::-59:600", "", "permit: asks for support"),
            ("agent for support approved=asks:::-60:600", "", "deny: needs asks [approval]"),
            // Of several the one that counts.
            ("agent for support approved=asks:vip approved=asks", "", "permit: asks for support"),
            ("boss for support approved=asks", "", "deny: no_grant [role]"),
        ],
    );
}

#[test]
fn broken_glass_needs_what_else_the_grant_needs() {
    check(
        GRANTS,
        &[
            ("vip for support", "", "deny: needs glass [mfa_within break_glass]"),
            ("vip for support mfa=1", "", "deny: needs glass [break_glass]"),
            ("vip for support glass=glass", "", "deny: needs glass [mfa_within]"),
            ("vip for support mfa=1 glass=glass", "ana", "health=show (clear)"),
            ("vip for support mfa=1 approved=glass", "", "deny: needs glass [break_glass]"),
            ("vip for support mfa=1 glass=glass:::-29:99", "", "permit: glass for support"),
            ("vip for support mfa=1 glass=glass:::-30:99", "", "deny: needs glass [break_glass]"),
        ],
    );
}

#[test]
fn each_of_two_credentials_needs_its_own() {
    check(
        GRANTS,
        &[
            ("agent for support approved=asks over agent", "", "deny: needs asks [approval]"),
            ("agent for support over agent approved=asks", "", "deny: needs asks [approval]"),
            (
                "agent for support approved=asks over agent approved=asks",
                "",
                "permit: asks for support",
            ),
        ],
    );
}

fn permit(call: &str, policy: &str) -> Option<Permit> {
    let policy = compile(&format!("{WORDS}{policy}"));
    let set = policy.sets().iter().find(|set| set.id.as_str() == "shop.people").unwrap();
    let call = Call {
        identity: &identity(call),
        on_behalf_of: None,
        standing: Default::default(),
        purpose: Some("support"),
        set,
        route: &set.routes[0],
        action: Action::Read,
        selects_by: &[],
        gpc: false,
        now: NOW,
    };
    match decide(&call, &policy) {
        Decision::Permit(permit) => Some(permit),
        Decision::Refuse(_) => None,
    }
}

#[test]
fn a_permit_says_under_what_it_stands_and_until_when() {
    let mine = permit("agent approved=asks:::-10:20", GRANTS).unwrap();
    assert_eq!(mine.under(), [(ClearanceKind::Approval, "id-asks".into())]);
    assert!(mine.still_counts(NOW.plus_ms(20 * 60_000 - 1)));
    assert!(!mine.still_counts(NOW.plus_ms(20 * 60_000)));
    let dated = "grants:\n  - { id: g, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { mail: show }, valid: { from: 2026-11-01, until: 2026-11-22 } }\n";
    let dated = permit("agent", dated).unwrap();
    assert!(dated.under().is_empty());
    // 2026-11-21T09:00:00Z is fifteen hours before.
    assert!(dated.still_counts(NOW.plus_ms(15 * 3_600_000 - 1)));
    assert!(!dated.still_counts(NOW.plus_ms(15 * 3_600_000)));
    let plain = "grants:\n  - { id: g, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { mail: show } }\n";
    assert!(permit("agent", plain).unwrap().still_counts(NOW.plus_ms(u64::MAX)));
}

#[test]
fn who_lacks_a_clearance_reads_who_gives_it() {
    let policy = compile(&format!("{WORDS}{GRANTS}"));
    let set = policy.sets().iter().find(|set| set.id.as_str() == "shop.people").unwrap();
    let said = |words: &str| {
        let call = Call {
            identity: &identity(words),
            on_behalf_of: None,
            standing: Default::default(),
            purpose: Some("support"),
            set,
            route: &set.routes[0],
            action: Action::Read,
            selects_by: &[],
            gpc: false,
            now: NOW,
        };
        let Decision::Refuse(refusal) = decide(&call, &policy) else { panic!("refused") };
        (refusal.detail.clone(), refusal.mfa_within_s())
    };
    let (detail, within) = said("agent");
    assert!(detail.contains("somebody else with the role `boss`, for 1 hour"), "{detail}");
    assert!(detail.contains("privet approval request --grant asks"), "{detail}");
    assert_eq!(within, None);
    let (detail, within) = said("vip");
    assert!(detail.contains("you break glass for 30 minutes, which `boss` reviews"), "{detail}");
    assert_eq!(within, Some(900));
    assert_eq!(said("vip mfa=1").1, None);
}

#[test]
fn a_privacy_signal_ends_what_sells_or_shares_for_its_call() {
    let words = WORDS
        .replace("support: { basis: contract }", "support: { basis: contract, use: essential.service }\n  sell: { basis: contract, use: third_party_sharing }\n  ads: { basis: contract, use: marketing.advertising.third_party.targeted }\n  own_ads: { basis: contract, use: marketing.advertising.first_party }\n  legal: { basis: legal_obligation, use: third_party_sharing.legal_obligation, gpc: false }\n  swap: { basis: contract, gpc: true }");
    let text = format!(
        "{words}grants:\n  - {{ id: g, roles: [agent], purposes: [support, sell, ads, own_ads, legal, swap], data: [shop.people], can: [read], fields: {{ mail: show }} }}\n"
    );
    let policy = compile(&text);
    let scene = super::scene::Scene { policy: &policy, data: "shop.people" };
    for (purpose, ends) in [
        ("support", false),
        ("sell", true),
        ("ads", true),
        ("own_ads", false),
        ("legal", false),
        ("swap", true),
    ] {
        let with = scene.play(&format!("agent gpc for {purpose}"), "");
        let without = scene.play(&format!("agent for {purpose}"), "");
        assert_eq!(without, format!("permit: g for {purpose}"));
        assert_eq!(with, if ends { "deny: gpc".to_owned() } else { without });
    }
}

#[test]
fn needs_uses_and_dates_are_checked() {
    let grant = |rest: &str| {
        format!(
            "grants:\n  - {{ id: g, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: {{ mail: show }}, {rest} }}\n"
        )
    };
    for (rest, expected) in [
        ("needs: { approval: { by: bos, for: 1 hour } }", "unknown role `bos`"),
        ("needs: { approval: { by: me, for: 1 hour } }", "`me` is whoever a record is about"),
        ("needs: { approval: { by: boss } }", "`approval` needs `for`"),
        ("needs: { approval: { for: 1 hour } }", "`approval` needs `by`"),
        ("needs: { approval: true }", "approval"),
        ("needs: { approval: { by: boss, for: 8 days } }", "this is longer than 7 days"),
        ("needs: { approval: { by: boss, for: 1 hour, to: x } }", "`approval` has no `to`"),
        (
            "needs: { break_glass: { for: 1 hour, review_by: boss } }",
            "`break_glass` needs `review_within`",
        ),
        (
            "needs: { break_glass: { for: 1 hour, review_by: boss, review_within: 31 days } }",
            "this is longer than 30 days",
        ),
        (
            "needs: { approval: { by: boss, for: 1 hour }, break_glass: { for: 1 hour, review_by: boss, review_within: 1 day } }",
            "not both",
        ),
        ("valid: { until: 2026-11-21 }", "grant `g` has lapsed"),
        ("valid: { until: 2026-12-21 }", "grant `g` lapses within 30 days"),
    ] {
        let told = faults_of(&format!("{WORDS}{}", grant(rest)));
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
    let later = faults_of(&format!("{WORDS}{}", grant("valid: { until: 2026-12-22 }")));
    assert!(!later.contains("lapse"), "{later}");
    let words =
        WORDS.replace("basis: legal_obligation", "basis: legal_obligation, use: third_party");
    let told = faults_of(&format!("{words}{}", grant("rows: { team: caller.team }")));
    assert!(told.contains("unknown data use `third_party`"), "{told}");
    let words = WORDS.replace("basis: legal_obligation", "basis: legal_obligation, gpc: maybe");
    let told = faults_of(&format!("{words}{}", grant("rows: { team: caller.team }")));
    assert!(told.contains("`true` or `false`"), "{told}");
}

#[test]
fn tests_of_a_policy_can_bring_approvals_broken_glass_and_the_signal() {
    let words =
        WORDS.replace("support: { basis: contract }", "support: { basis: contract, gpc: true }");
    let policy = compile(&format!("{words}{GRANTS}"));
    let tests = "privet: policy-test/v1
now: 2026-11-21T09:00:00Z
records: { ana: { data: shop.people, value: { id: ana, mail: a@x } } }
callers:
  agent: { roles: [agent] }
  approved: { roles: [agent], approved: true }
  named: { roles: [agent], approved: [asks] }
  broke: { roles: [vip], mfa: now, broke_glass: [glass] }
tests:
  - { name: a, call: { as: agent, for: fraud, read: ana }, expect: { decision: deny, missing: [approval] } }
  - { name: b, call: { as: approved, for: fraud, read: ana }, expect: { decision: allow, by: [asks] } }
  - { name: c, call: { as: named, for: support, read: ana }, expect: { decision: allow } }
  - { name: d, call: { as: named, for: support, read: ana, gpc: true }, expect: { decision: deny, because: gpc } }
  - { name: e, call: { as: broke, for: support, read: ana }, expect: { decision: allow, by: [glass] } }
invariants:
  - { name: f, always: { fields: [mail], needs: [approval] } }
  - { name: g, always: { fields: [health], needs: [mfa_within] } }
  - { name: h, always: { fields: [health], needs: [break_glass] } }
  - { name: broken, never: { fields: [health] } }
";
    let mut faults = Faults::new();
    let report = run_tests(&policy, &[file("a.test.yaml", tests)], &Plain, &mut faults);
    assert_eq!(told(faults), "");
    assert_eq!(report.failed(), 1, "{}", report.tree());
    assert!(report.tree().contains("mfa, no ticket, break_glass, "), "{}", report.tree());
    let mut faults = Faults::new();
    let odd = tests.replace("approved: [asks]", "approved: [glass]");
    drop(run_tests(&policy, &[file("a.test.yaml", &odd)], &Plain, &mut faults));
    assert!(told(faults).contains("unknown grant with `needs: { approval }` `glass`"));
}
