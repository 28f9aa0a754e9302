//! `separate` of purposes: slips, and where it is missing.

use super::faults_of;

#[test]
fn slips_in_separate_are_told_at_their_words() {
    for (purpose, told) in [
        ("basis: consent, consent: q, separate: [CNN]", "a.yaml:2:57: `CNN` is no country"),
        ("basis: consent, consent: q, separate: [XEA]", "did you mean `EEA`?"),
        ("basis: consent, consent: q, separate: China", "`China` is no country"),
        ("basis: consent, consent: q, separate: []", "this list is empty"),
        ("basis: consent, consent: q, separate: [true]", "a.yaml:2:57: "),
        ("basis: consent, consent: q, seperate: true", "did you mean `separate`?"),
        (
            "basis: contract, separate: true",
            "a.yaml:2:45: `p` wants separate consent, but asks no question",
        ),
        ("basis: contract, separate: [CN]", "add `consent: NAME`"),
    ] {
        let found = faults_of(&format!("privet: policy/v1\npurposes: {{ p: {{ {purpose} }} }}\n"));
        assert!(found.contains(told), "`{told}` is not in:\n{found}");
    }
}

/// A policy with one purpose, which has a health note in its data.
fn policy(purpose: &str, set: &str, grant: &str) -> String {
    format!(
        "privet: policy/v1
purposes: {{ p: {{ {purpose} }} }}
roles: {{ agent: {{ claim: roles, has: agent }} }}
data:
  shop.people:
    {set}
    fields: {{ id: {{ category: user.unique_id }}, note: {{ category: user.health_and_medical, level: general }}, pin: {{ category: user.account.username, level: critical }}, country: {{ category: user.contact.address.country, level: general }} }}
    routes: [ {{ on: \"GET /people/{{id}}\", records: \"$\" }}, {{ on: \"PATCH /people/{{id}}\", records: \"$\", unsafe_writes: accepted }} ]
grants: [ {{ id: g, roles: [agent], purposes: [p], data: [shop.people], {grant} }} ]
"
    )
}

const ASKS: &str = "basis: consent, consent: p";
const CHINA: &str = "basis: { default: contract, CN: consent }, consent: p";
const PEOPLE: &str = "subject: { field: id, domain: person }, region: country";
const NOTE: &str = "can: [read], fields: { note: show }";

/// What it is about, the purpose, the data set and the grant, and the field of which `check` warns.
const CASES: [(&str, &str, &str, &str, Option<&str>); 18] = [
    ("consent to everything", ASKS, PEOPLE, NOTE, Some("note")),
    ("consent in China", CHINA, PEOPLE, NOTE, Some("note")),
    ("a basis and a question beside it", "basis: contract, consent: p", PEOPLE, NOTE, Some("note")),
    ("a critical field", ASKS, PEOPLE, "can: [read], fields: { pin: show }", Some("pin")),
    (
        "in part",
        ASKS,
        PEOPLE,
        "can: [read], fields: { pin: { mask: { keep_last: 1 } } }",
        Some("pin"),
    ),
    ("set and not shown", ASKS, PEOPLE, "can: [update], writes: [note]", Some("note")),
    (
        "asked for alone elsewhere",
        "basis: consent, consent: p, separate: [KR]",
        PEOPLE,
        NOTE,
        Some("note"),
    ),
    (
        "`separate` in a word that says no",
        "basis: consent, consent: p, separate: false",
        PEOPLE,
        NOTE,
        Some("note"),
    ),
    (
        "a set without countries where the policy speaks of China",
        CHINA,
        "subject: { field: id, domain: person }",
        NOTE,
        Some("note"),
    ),
    ("asked for alone", "basis: consent, consent: p, separate: true", PEOPLE, NOTE, None),
    ("asked for alone in China", "basis: consent, consent: p, separate: [CN]", PEOPLE, NOTE, None),
    ("another basis", "basis: contract", PEOPLE, NOTE, None),
    (
        "another basis in China",
        "basis: { default: consent, CN: contract }, consent: p",
        PEOPLE,
        NOTE,
        None,
    ),
    (
        "consent elsewhere",
        "basis: { default: contract, KR: consent }, consent: p",
        PEOPLE,
        NOTE,
        None,
    ),
    ("nothing sensitive", ASKS, PEOPLE, "can: [read], fields: { id: show, country: show }", None),
    ("nothing shown of it", ASKS, PEOPLE, "can: [read], fields: { note: drop, id: show }", None),
    ("records about nobody", ASKS, "subject: none", NOTE, None),
    (
        "no countries, and no word of China",
        ASKS,
        "subject: { field: id, domain: person }",
        NOTE,
        None,
    ),
];

#[test]
fn sensitive_data_by_consent_without_separate_is_warned_of() {
    for (what, purpose, set, grant, field) in CASES {
        let set = set.replace(", region", "\n    region");
        let told = faults_of(&policy(purpose, &set, grant));
        let wants = "by consent: for records of CN, PIPL art. 29 wants separate consent";
        let expected =
            field.map(|field| format!("warning: `p` uses `{field}` of `shop.people` {wants}"));
        match expected {
            Some(expected) => assert!(told.contains(&expected), "{what}: {expected}\n{told}"),
            None => assert!(!told.contains("art. 29"), "{what}\n{told}"),
        }
        let errors: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with("a.yaml") && !line.contains(": warning: "))
            .collect();
        assert!(errors.is_empty(), "{what}\n{told}");
    }
}

#[test]
fn the_warning_says_what_to_write() {
    for (purpose, help) in [
        (ASKS, "help: write `separate: [CN]`: then only consent asked for alone counts"),
        ("basis: consent, consent: p, separate: [KR]", "help: add `CN` to `separate`"),
    ] {
        let told = faults_of(&policy(purpose, &PEOPLE.replace(", region", "\n    region"), NOTE));
        assert!(told.contains(help), "{told}");
    }
}

#[test]
fn separate_where_no_consent_is_asked_is_warned_of() {
    let told =
        |purpose| faults_of(&policy(purpose, &PEOPLE.replace(", region", "\n    region"), NOTE));
    let warned = "warning: `separate` of `p` names CN, and records of CN are used without consent";
    let wrong = told("basis: { default: consent, CN: contract }, consent: p, separate: [CN]");
    assert!(wrong.contains(warned), "{wrong}");
    for right in [
        "basis: consent, consent: p, separate: [CN, KR]",
        "basis: { default: contract, CN: consent }, consent: p, separate: [CN]",
        "basis: contract, consent: p, separate: [CN]",
    ] {
        let told = told(right);
        assert!(!told.contains("used without consent"), "{told}");
    }
}
