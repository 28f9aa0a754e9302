//! Whom data may be passed to: agreements, mechanisms, what ends, and what a law does not know.

use super::NOW;
use super::compile;
use super::faults_of;
use super::scene::WORDS;
use super::scene::check;
use super::scene::identity;
use crate::policy::Call;
use crate::policy::Decision;
use crate::policy::ExportClass;
use crate::policy::Permit;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::View;
use crate::policy::decide;
use crate::policy::thresholds;
use crate::types::Action;
use crate::types::Region;
use crate::types::Timestamp;

/// NOW is 2026-11-21T09:00:00Z.
const RECIPIENTS: &str = "
region_groups: { PACIFIC: [JP, NZ] }
recipients:
  shop-cn: { kind: controller, country: CN, agreement: { ref: a } }
  shop-de: { kind: joint_controller, country: DE, agreement: { ref: a } }
  mailer: { title: { en: Mailer }, kind: processor, country: US, agreement: { ref: dpa, until: 2027-01-01 }, mechanisms: [ { kind: scc, for: [EEA, PACIFIC], ref: s, until: 2026-11-22 }, { kind: cn_standard_contract, for: CN, until: 2026-11-21 }, { kind: adequacy, for: GB } ] }
  mailer-sub: { kind: sub_processor, parent: mailer, country: US, agreement: { ref: a } }
  mailer-in: { kind: sub_processor, parent: mailer, country: IN, agreement: { ref: a } }
  lapsed: { kind: processor, country: US, agreement: { ref: a, until: 2026-11-21 }, mechanisms: [ { kind: scc, for: EEA } ] }
  lapsed-sub: { kind: sub_processor, parent: lapsed, country: US, agreement: { ref: a }, mechanisms: [ { kind: scc, for: EEA } ] }
";

const RULES: &str = "
grants: [ { id: g, roles: [agent], purposes: [support], data: [shop.people, shop.letters, shop.machines], can: [read], fields: { mail: show, name: show, sender: show } } ]
limits:
";

fn policy(limit: &str) -> String {
    format!("{RECIPIENTS}{RULES}  - {limit}\n")
}

#[test]
fn a_record_goes_where_an_agreement_and_a_mechanism_hold() {
    let stays = policy(
        "{ id: stays, if: { flags: [personal] }, unless: { transfer: true }, then: leave_out }",
    );
    let shown = "mail=show (clear)";
    check(
        &stays,
        &[
            ("agent for support", "ana in DE", "out: stays"),
            ("agent for support to stranger", "ana in DE", "out: stays"),
            ("agent for support to shop-de", "ana in DE", shown),
            ("agent for support to shop-de", "ana in FR", shown),
            ("agent for support to shop-de", "ana in GB", "out: stays"),
            ("agent for support to shop-de", "ana", "out: stays"),
            ("agent for support to shop-cn", "ana in CN", shown),
            ("agent for support to shop-cn", "ana in HK", "out: stays"),
            ("agent for support to mailer", "ana in IS", shown),
            ("agent for support to mailer", "ana in NZ", shown),
            ("agent for support to mailer", "ana in GB", shown),
            ("agent for support to mailer", "ana in US", shown),
            ("agent for support to mailer", "ana in BR", "out: stays"),
            ("agent for support to mailer", "ana in CN", "out: stays"),
            ("agent for support to mailer-sub", "ana in DE", shown),
            ("agent for support to mailer-in", "ana in DE", "out: stays"),
            ("agent for support to mailer-in", "ana in IN", shown),
            ("agent for support to lapsed", "ana in DE", "out: stays"),
            ("agent for support to lapsed", "ana in US", "out: stays"),
            ("agent for support to lapsed-sub", "ana in DE", "out: stays"),
            ("agent for support to mailer over agent to lapsed", "ana in DE", "out: stays"),
            ("agent for support to mailer over agent to shop-de", "ana in DE", shown),
        ],
    );
}

#[test]
fn conditions_on_the_recipient_hold_when_it_is_unknown_and_excuse_nothing_then() {
    check(
        &policy("{ id: l, if: { recipient: [mailer] }, then: leave_out }"),
        &[
            ("agent for support to mailer", "ana", "out: l"),
            ("agent for support", "ana", "out: l"),
            ("agent for support to stranger", "ana", "out: l"),
            ("agent for support to lapsed", "ana", "mail=show (clear)"),
        ],
    );
    check(
        &policy(
            "{ id: l, if: { recipient_not: [mailer] }, unless: { recipient_kind: [controller, joint_controller] }, then: deny }",
        ),
        &[
            ("agent for support to mailer", "ana", "mail=show (clear)"),
            ("agent for support to shop-de", "ana", "mail=show (clear)"),
            ("agent for support to lapsed", "ana", "deny: limit l"),
            ("agent for support", "ana", "deny: limit l"),
            ("agent for support to stranger", "ana", "deny: limit l"),
        ],
    );
}

#[test]
fn what_is_wrong_with_recipients_is_told_where_it_stands() {
    let of = |recipients: &str| {
        faults_of(&format!(
            "{WORDS}recipients:\n{recipients}\n{RULES}  - {{ id: s, if: {{ flags: personal }}, unless: {{ transfer: true }}, then: drop }}\n"
        ))
    };
    let base = "kind: processor, country: US, agreement: { ref: a }";
    for (recipients, expected) in [
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: cn_certification, for: [FR], until: 2027-01-01 }} ] }}"), "`cn_certification` is nothing that EU GDPR knows"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [CN] }} ] }}"), "`scc` is nothing that PIPL knows"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [US] }} ] }}"), "restricts no transfer"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: cn_certification, for: [CN] }} ] }}"), "good for three years at most"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: cn_certification, for: [CN], until: 2029-12-01 }} ] }}"), "good for three years at most"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: derogation, case: a, for: [EEA] }} ] }}"), "a derogation needs `ref`"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: derogation, ref: r, for: [EEA] }} ] }}"), "`derogation` needs a `case`"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: derogation, case: h, ref: r, for: [EEA] }} ] }}"), "unknown case `h`"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: cn_exempt, case: tourism, for: [CN] }} ] }}"), "unknown case `tourism`"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, case: a, for: [EEA] }} ] }}"), "`scc` has no cases"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [EUROPE] }} ] }}"), "`EUROPE` is no country"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [EAA] }} ] }}"), "did you mean `EEA`?"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [EEA], until: 2026-12-10 }} ] }}"), "ends within 30 days"),
        (format!("  a: {{ {base}, mechanisms: [ {{ kind: scc, for: [EEA], until: 2026-11-21 }} ] }}"), "has ended, so that nothing goes by it"),
        (format!("  a: {{ {base}, parent: b }}"), "is no sub-processor and names a `parent`"),
        ("  a: { kind: sub_processor, country: US, agreement: { ref: a } }".into(), "works for a processor, and names none"),
        ("  a: { kind: sub_processor, parent: bb, country: US, agreement: { ref: a } }".into(), "unknown recipient `bb`"),
        ("  a: { kind: sub_processor, parent: b, country: US, agreement: { ref: a } }\n  b: { kind: controller, country: US, agreement: { ref: a } }".into(), "`b` is a controller, and no processor"),
        ("  a: { kind: sub_processor, parent: b, country: US, agreement: { ref: a } }\n  b: { kind: sub_processor, parent: a, country: US, agreement: { ref: a } }".into(), "works for itself, by way of"),
        (format!("  a: {{ {base} }}\n  b: {{ kind: sub_processor, parent: a, country: IN, agreement: {{ ref: a }} }}"), "the mechanisms of one do not reach the other"),
        ("  a: { kind: processor, country: US }".into(), "a recipient needs `agreement`"),
        ("  a: { kind: processor, country: US, agreement: { until: 2027-01-01 } }".into(), "an agreement needs `ref`"),
        (format!("  a: {{ {base} }}\n  a: {{ {base} }}"), "twice"),
    ] {
        let told = of(&recipients);
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
    let unused = faults_of(&format!(
        "{WORDS}recipients:\n  a: {{ {base} }}\n{RULES}  - {{ id: s, if: {{ flags: personal }}, then: drop }}\n"
    ));
    assert!(unused.contains("no limit asks about recipient `a`"), "{unused}");
}

#[test]
fn groups_of_countries_have_names_of_their_own() {
    for (groups, expected) in [
        ("{ EU: [DE] }", "`EU` cannot be the name of a region group"),
        ("{ Apac: [JP] }", "`Apac` cannot be the name of a region group"),
        ("{ EEA: [DE] }", "`EEA` is a group that every policy knows"),
        ("{ APAC: [] }", "this list is empty"),
        ("{ APAC: [JPN] }", "`JPN` is no country"),
    ] {
        let told = faults_of(&format!("{WORDS}region_groups: {groups}\n"));
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
}

#[test]
fn a_basis_that_the_law_of_a_record_does_not_know_is_refused() {
    let of = |basis: &str, limit: &str| {
        let words = WORDS.replace(
            "fraud: { basis: legal_obligation }",
            &format!("fraud: {{ basis: {basis}, consent: c }}"),
        );
        faults_of(&format!(
            "{words}grants: [ {{ id: g, roles: [agent], purposes: [fraud], data: [shop.people], can: [read], fields: {{ mail: show }} }} ]\n{limit}"
        ))
    };
    let cn = "limits: [ { id: l, if: { record_region: [CN] }, then: leave_out } ]\n";
    let error = |told: &str, words: &str| {
        told.lines().any(|line| line.contains(words) && !line.contains("warning"))
    };
    let told = of("{ default: contract, CN: legitimate_interest }", "");
    assert!(error(&told, "PIPL knows no `legitimate_interest`"), "{told}");
    let told = of("{ default: contract, EEA: legitimate_interest }", "");
    assert!(!told.contains("knows no"), "{told}");
    let told = of("legitimate_interest", cn);
    assert!(error(&told, "which PIPL does not know"), "{told}");
    assert!(told.contains("{ default: legitimate_interest, CN: consent }"), "{told}");
    let told = of("{ default: legitimate_interest, CN: consent }", cn);
    assert!(!told.contains("does not know"), "{told}");
}

#[test]
fn a_group_gives_a_basis_to_each_of_its_countries_and_a_country_its_own() {
    let words = WORDS.replace(
        "support: { basis: contract }",
        "support: { basis: { default: contract, EEA: consent, FR: contract }, consent: s }",
    );
    let policy = format!(
        "{words}{}",
        "grants: [ { id: g, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { mail: show } } ]\n"
    );
    let policy = compile(&policy);
    let scene = super::scene::Scene { policy: &policy, data: "shop.people" };
    for (record, expected) in [
        ("ana in DE", "out: consent"),
        ("ana in DE said=s", "mail=show (clear)"),
        ("ana in FR", "mail=show (clear)"),
        ("ana in GB", "mail=show (clear)"),
        ("ana", "out: consent"),
    ] {
        assert_eq!(scene.play("agent for support", record), expected, "{record}");
    }
}

/// The permit of a caller for `shop.people`.
fn permit(words: &str) -> Permit {
    let policy = compile(&format!(
        "{WORDS}{RECIPIENTS}  shop-us: {{ kind: controller, country: US, agreement: {{ ref: a }}, mechanisms: [ {{ kind: cac_assessment, for: CN }} ] }}
  hotel: {{ kind: controller, country: US, agreement: {{ ref: a }}, mechanisms: [ {{ kind: cn_exempt, case: contract, for: CN }} ] }}
  small: {{ kind: controller, country: US, agreement: {{ ref: a }}, mechanisms: [ {{ kind: cn_exempt, case: below_threshold, for: CN }} ] }}
grants: [ {{ id: g, roles: [agent, me], purposes: [support], data: [shop.people], can: [read], levels: {{ general: show, sensitive: show, critical: show }} }} ]\n"
    ));
    let set = policy.sets().iter().find(|set| set.id.as_str() == "shop.people").unwrap();
    let (caller, behalf) = words.split_once(" over ").unwrap_or((words, ""));
    let behalf = (!behalf.is_empty()).then(|| identity(behalf));
    let call = Call {
        identity: &identity(caller),
        on_behalf_of: behalf.as_ref(),
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
        Decision::Permit(permit) => permit,
        Decision::Refuse(refusal) => panic!("{words}: {refusal:?}"),
    }
}

#[test]
fn data_leaves_china_unless_caller_and_recipient_are_there() {
    let home = Region::parse("CN").unwrap();
    let exported = |words: &str, region: &str, field: &str, view: View| {
        let permit = permit(words);
        let views: Vec<View> = permit
            .set()
            .fields
            .iter()
            .map(|it| if it.path.as_str() == field { view } else { View::Drop })
            .collect();
        let subjects = [RecordSubject { id: Some("ana"), card: None }];
        let region = Region::parse(region);
        let facts = RecordFacts { subjects: &subjects, region, values: &[], now: NOW };
        let classes = permit.exported(home, 0, &facts, &views);
        let names = ExportClass::ALL.into_iter().filter(|class| classes.has(*class));
        names.map(ExportClass::as_str).collect::<Vec<_>>().join(" ")
    };
    for (words, region, field, view, expected) in [
        ("agent in CN", "CN", "mail", View::Show, ""),
        ("agent in CN to shop-cn", "CN", "mail", View::Show, ""),
        ("agent to shop-cn", "CN", "mail", View::Show, ""),
        ("agent in GB", "CN", "mail", View::Show, "other"),
        ("agent in GB to shop-cn", "CN", "mail", View::Show, "other"),
        ("agent in CN to mailer", "CN", "mail", View::Show, "other"),
        ("agent in CN to stranger", "CN", "mail", View::Show, "other"),
        ("agent", "CN", "mail", View::Show, "other"),
        ("agent in GB", "GB", "mail", View::Show, ""),
        ("agent in GB", "CN", "health", View::Show, "sensitive"),
        ("agent in GB", "CN", "mail", View::TOKEN, ""),
        ("agent in GB", "CN", "mail", View::Ciphertext, ""),
        ("agent in GB", "CN", "team", View::Show, ""),
        ("as ana", "CN", "mail", View::Show, ""),
        ("as ana", "CN", "health", View::Show, ""),
        ("agent as bob", "CN", "mail", View::Show, "other"),
        ("as ana over agent in GB", "CN", "mail", View::Show, "other"),
        ("agent in CN over agent in GB", "CN", "mail", View::Show, "other"),
    ] {
        assert_eq!(exported(words, region, field, view), expected, "{words} {field} {view}");
    }
}

#[test]
fn beyond_a_threshold_only_its_mechanisms_and_open_exemptions_count() {
    let may = |words: &str, now: Timestamp| {
        let permit = permit(words);
        let may = thresholds().iter().map(|threshold| permit.may_pass(threshold, now));
        may.collect::<Vec<_>>()
    };
    for (words, expected) in [
        ("agent in GB", [false, false, false]),
        ("agent in GB to mailer", [false, false, false]),
        ("agent to shop-us", [true, true, true]),
        ("agent to hotel", [true, true, true]),
        ("agent to small", [false, false, false]),
        ("agent to shop-us over agent in GB", [false, false, false]),
    ] {
        assert_eq!(may(words, NOW), expected, "{words}");
    }
    let before = Timestamp::from_unix_ms(NOW.unix_ms() - 86_400_000);
    assert_eq!(may("agent to mailer", before), [true, false, false], "the contract still held");
}
