//! What is wrong with policies, told where it is wrong.

use super::NOW;
use super::faults_of;
use super::file;
use super::told;
use crate::policy::PolicySet;
use crate::types::Faults;

/// Words and data without a fault.
const WORDS: &str = "privet: policy/v1
purposes: { help: { basis: contract } }
roles: { agent: { claim: roles, has: agent }, boss: { claim: roles, has: boss }, me: { is_subject: true } }
views: { tail: { mask: { keep_last: 4 } }, year: { generalize: { date: year } }, city: { generalize: { address: city } } }
data:
  shop.people:
    subject: { field: id, domain: person }
    fields: { id: { category: user.unique_id }, mail: { category: user.contact.email }, address: { category: user.contact.address, children: { street: {}, city: {} } }, extra: { category: user.behavior, whole: true }, 'tags[*]': { category: user.behavior } }
";

/// Every fault in words, beside what must be among them.
fn check(rules: &str, expected: &[&str]) {
    let told = faults_of(&format!("{WORDS}{rules}"));
    for words in expected {
        assert!(told.contains(words), "`{words}` is not in:\n{told}");
    }
}

fn grant(rest: &str) -> String {
    format!(
        "grants:\n  - {{ id: g, roles: [agent, boss, me], purposes: [help], data: [shop.people], can: [read], {rest} }}\n"
    )
}

#[test]
fn a_policy_without_faults_says_nothing() {
    let words: Vec<&str> = WORDS.lines().filter(|line| !line.starts_with("views")).collect();
    let rules = grant("levels: { general: show, sensitive: show }");
    assert_eq!(faults_of(&format!("{}\n{rules}", words.join("\n"))), "");
}

#[test]
fn a_fault_has_its_place_a_caret_and_a_help_line() {
    let told = faults_of(&format!("{WORDS}{}", grant("fields: { mail: tial }")));
    let fault = "unknown view `tial`
 10 |   - { id: g, roles: [agent, boss, me], purposes: [help], data: [shop.people], can: [read], fields: { mail: tial } }
    |                                                                                                            ^^^^
  help: did you mean `tail`?
";
    assert!(told.contains(&format!("a.yaml:10:108: {fault}")), "{told}");
}

#[test]
fn unknown_words_are_told_with_the_nearest_known_one() {
    check(
        "grants:
  - { id: g, roles: [agnt], purposes: [hepl], data: [shop.peple], can: [raed], fields: { mial: show } }
  - { id: h, rolls: [agent], purposes: [help], data: [shop.people], can: [read], fields: { mial: show, street: show } }
  - { id: i, roles: [agent], purposes: [help], data: [shop.people], can: [read], categories: { user.contact.emial: show } }
  - { id: j, roles: [agent], purposes: [help], data: [shop.people], can: [read], levels: { critcal: show } }
  - { id: k, roles: [agent], purposes: [help], data: [shop.people], can: [read], find_by: [mial], rows: { teem: caller.team }, overrides: [hh, l], fields: { mail: show } }
limits:
  - { id: l, roles: [agnt], if: { subject_status: restrictd }, then: leaveout }
  - { id: m, if: { flags: [persnal], levels: [sensitve] }, unless: { purpose: [help] }, then: drop }
",
        &[
            "unknown role `agnt`",
            "did you mean `agent`?",
            "unknown purpose `hepl`",
            "unknown data set `shop.peple`",
            "did you mean `shop.people`?",
            "unknown action `raed`",
            "did you mean `read`?",
            "a grant needs `roles`",
            "a grant has no `rolls`",
            "did you mean `roles`?",
            "unknown category `user.contact.emial`",
            "did you mean `user.contact.email`?",
            "`levels` has no `critcal`",
            "unknown status `restrictd`",
            "unknown view `leaveout`",
            "unknown flag `persnal`",
            "unknown level `sensitve`",
            "`unless` has no `purpose`",
            "did you mean `purposes`?",
        ],
    );
    check(
        "grants:
  - { id: g, roles: [agent], purposes: [help], data: [shop.people], can: [read], find_by: [mial], rows: { teem: caller.team, id: team }, overrides: [hh], fields: { mial: show } }
",
        &["`team` names no claim of the caller"],
    );
    check(
        "grants:
  - { id: g, roles: [agent], purposes: [help], data: [shop.people], can: [read], find_by: [mial], rows: { teem: caller.team, 'tags[*]': caller.t, extra: caller.t }, fields: { mall: show } }
  - { id: h, roles: [agent], purposes: [help], data: [shop.people], can: [read], overrides: [gg, h], fields: { mail: show } }
",
        &["unknown grant `gg`", "`h` cannot override itself"],
    );
    check(
        &grant(
            "find_by: [mial], rows: { teem: caller.team, 'tags[*]': caller.t, extra: caller.t }, fields: { mall: show }",
        ),
        &[
            "unknown field `mial`",
            "unknown field `teem`",
            "unknown field `mall`",
            "did you mean `mail`?",
            "`tags[*]` may have several values, so `rows` cannot match it",
            "`extra` may have several values, so `rows` cannot match it",
        ],
    );
}

#[test]
fn ids_stand_once() {
    check(
        &format!(
            "{}limits: [ {{ id: g, if: {{ caller_region: [GB] }}, then: drop }}, {{ id: consent, if: {{ caller_region: [GB] }}, then: drop }} ]\n",
            grant("fields: { mail: show }")
        ),
        &[
            "rule `g` stands here for the second time",
            "the first is at a.yaml:10:5",
            "`consent` is a reason of its own",
        ],
    );
    // Words that reasons and matrices use for what is no rule.
    for word in ["consent", "erased", "gpc", "held", "no_grant", "unknown_subject"] {
        let limit =
            format!("limits: [ {{ id: {word}, if: {{ caller_region: [GB] }}, then: drop }} ]\n");
        let fault = format!("`{word}` is a reason of its own");
        check(&format!("{}{limit}", grant("fields: { mail: show }")), &[&fault]);
    }
    let one = file("a.yaml", &format!("{WORDS}{}", grant("fields: { mail: show }")));
    let other = file("b.yaml", WORDS);
    let mut faults = Faults::new();
    assert!(PolicySet::compile(&[one, other], NOW, &mut faults).is_none());
    let told = told(faults);
    for words in [
        "b.yaml:2:13: purpose `help` stands here for the second time",
        "the first is at a.yaml:2:13",
        "role `agent` stands here for the second time",
        "view `tail` stands here for the second time",
        "data set `shop.people` stands here for the second time",
    ] {
        assert!(told.contains(words), "`{words}` is not in:\n{told}");
    }
}

#[test]
fn files_are_one_policy_whatever_their_order() {
    let words = file("z.yaml", WORDS);
    let rules = format!("privet: policy/v1\n{}", grant("fields: { mail: tail }"));
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("a.yaml", &rules), words], NOW, &mut faults);
    assert!(set.is_some(), "{}", told(faults));
}

#[test]
fn views_must_fit_what_they_are_put_on() {
    check(
        &grant("fields: { address: year }"),
        &["`address` is a container and has no value to generalize"],
    );
    check(&grant("fields: { mail: city }"), &["`mail` has no children to keep one of"]);
    check(
        &grant("fields: { address: { generalize: { address: town } } }"),
        &["`address` has no child `town`"],
    );
    check(
        &grant("fields: { extra: tail }"),
        &["`extra` is passed whole and has no single value to change"],
    );
    check(
        &grant("levels: { sensitive: tail }"),
        &["warning: `extra` of `shop.people` is passed whole: dropped"],
    );
    check(
        &grant("categories: { user.contact.email: city }"),
        &["`mail` has no children to keep one of"],
    );
    check(
        &grant(
            "fields: { mail: { mask: { keep_first: 65 } }, id: { generalize: { number: 0 } }, address: { mask: {}, generalize: { date: day } } }",
        ),
        &["from 0 to 64, found `65`", "found `0`", "a view is one form"],
    );
    check(
        &grant("fields: { mail: { generalize: { date: day } } }"),
        &["unknown part of a date `day`"],
    );
    check(&grant("fields: { mail: redact }"), &["`redact` is not in this version"]);
}

#[test]
fn views_that_cannot_be_compared_need_a_word() {
    let two = |first: &str, second: &str| {
        format!(
            "grants:
  - {{ id: a, roles: [agent], purposes: [help], data: [shop.people], can: [read], {first} }}
  - {{ id: b, roles: [boss], purposes: [help], data: [shop.people], can: [read, export], {second} }}
"
        )
    };
    let clash = [
        "`b` shows `mail` of `shop.people` as generalize to year, `a` as mask 0***4: neither contains the other",
        "add `overrides: a` to the grant that counts",
    ];
    check(&two("fields: { mail: tail }", "fields: { mail: year }"), &clash);
    for good in [
        two("fields: { mail: tail }", "overrides: a, fields: { mail: year }"),
        two("overrides: [b], fields: { mail: tail }", "fields: { mail: year }"),
        two("fields: { mail: tail }", "fields: { mail: { mask: { keep_last: 4 } } }"),
        two("fields: { mail: tail }", "fields: { mail: show }"),
        two("fields: { mail: drop }", "fields: { mail: year }"),
    ] {
        let told = faults_of(&format!("{WORDS}{good}"));
        assert!(!told.contains("neither contains"), "{told}");
    }
    check(
        &two("overrides: b, fields: { mail: tail }", "overrides: a, fields: { mail: year }"),
        &["`a` overrides a grant that overrides it"],
    );
}

#[test]
fn words_of_later_versions_are_told_apart_from_slips() {
    check(
        &grant("fields: { mail: show }, needs: { open_request: true }"),
        &["`open_request` is not in this version"],
    );
}

#[test]
fn limits_that_could_be_misread_are_refused() {
    for (limit, words) in [
        (
            "if: { subjects_shown_over: 5, within: 1 hour }, then: leave_out",
            "unknown outcome of a count `leave_out`",
        ),
        (
            "if: { subjects_shown_over: 5 }, then: alert",
            "`subjects_shown_over` and `within` go together",
        ),
        (
            "if: { subjects_shown_over: 5, within: 1 hour, record_region: CN }, then: alert",
            "counts over many records",
        ),
        ("if: { caller_region: GB }, then: alert", "`alert` needs something to count"),
        ("if: { caller_region: GB }, then: show", "`show` cuts nothing down"),
        ("if: { caller_region: GB }, then: city", "a limit cannot keep a part of a container"),
        (
            "if: { caller_region: GB }, unless: {}, then: drop",
            "an empty `unless` would always hold",
        ),
        ("if: { caller_region: GB }, unless: { roles: [] }, then: drop", "this list is empty"),
        ("if: { caller_region: GBR }, then: drop", "`GBR` is no country"),
        ("if: { opted_out: false }, then: drop", "`opted_out` can only be `true`"),
        ("then: drop", "a limit needs `if`"),
    ] {
        check(
            &format!("{}limits: [ {{ id: l, {limit} }} ]\n", grant("fields: { mail: show }")),
            &[words],
        );
    }
}

#[test]
fn what_is_suspicious_is_a_warning() {
    let text = "privet: policy/v1
review_by: 2026-12-20
purposes: { help: { basis: contract, opt_out: x }, idle: { basis: contract } }
roles: { agent: { claim: roles, has: agent }, ghost: { claim: roles, has: ghost } }
data:
  shop.people: { subject: { field: id, domain: person }, fields: { id: { category: user.unique_id }, mail: { category: user.contact.email } } }
grants:
  - { id: g, roles: [agent], purposes: [help], data: [shop.people], can: [read], fields: { id: show } }
  - { id: h, roles: [agent], purposes: [help], data: [shop.people], can: [read], valid: { until: 2026-11-21 }, fields: { mail: ciphertext } }
limits: [ { id: l, if: { record_region: [CN] }, then: leave_out } ]
";
    let told = faults_of(text);
    for words in [
        "warning: this policy is to be reviewed within 30 days",
        "warning: no grant is for purpose `idle`",
        "warning: no grant is for role `ghost`",
        "warning: no limit heeds the opt-out of `help`",
        "warning: no grant shows `mail` of `shop.people`",
        "warning: grant `h` has lapsed",
        "warning: `ciphertext` of `mail` in `h` shows nothing: it is not sealed",
        "warning: `l` takes every record of `shop.people`: its region is unknown",
    ] {
        assert!(told.contains(words), "`{words}` is not in:\n{told}");
    }
    let mut faults = Faults::new();
    assert!(PolicySet::compile(&[file("a.yaml", text)], NOW, &mut faults).is_some());
    assert!(faults_of(&text.replace("2026-12-20", "2026-12-22")).matches("reviewed").count() == 0);
    assert!(faults_of(&text.replace("2026-12-20", "2026-11-21")).contains("overdue"));
}

#[test]
fn purposes_and_roles_are_complete() {
    for (words, told) in [
        ("purposes: { p: { title: x } }", "a purpose needs `basis`"),
        (
            "purposes: { p: { basis: consent } }",
            "`p` rests on consent, but names no consent question",
        ),
        ("purposes: { p: { basis: { CN: consent } } }", "a legal basis needs `default`"),
        (
            "purposes: { p: { basis: { default: contract, China: consent } } }",
            "`China` is no country",
        ),
        ("purposes: { p: { basis: contrct } }", "did you mean `contract`?"),
        ("roles: { r: { claim: roles } }", "a role has a claim or is the subject"),
        (
            "roles: { r: { is_subject: true, or_representative: [uncle] } }",
            "unknown kind of representative `uncle`",
        ),
        ("roles: { r: { is_subject: true, or_representative: [] } }", "nobody is named"),
        (
            "roles: { r: { claim: a, has: b, or_representative: [agent] } }",
            "`or_representative` widens",
        ),
        ("roles: { r: { is_subject: false } }", "`is_subject` can only be `true`"),
        ("views: { show: { mask: {} } }", "`show` has a meaning already"),
        ("name: x", "a policy needs `privet`"),
    ] {
        let head = if words.starts_with("name") { "" } else { "privet: policy/v1\n" };
        let found = faults_of(&format!("{head}{words}\n"));
        assert!(found.contains(told), "`{told}` is not in:\n{found}");
    }
}

#[test]
fn actions_that_are_not_served_yet_are_told_at_their_words() {
    let rules = grant("fields: { id: show }").replace("can: [read]", "can: [read, export, delete]");
    let told = faults_of(&format!("{WORDS}{rules}"));
    let what = "a.yaml:10:91: warning: `export` is granted, but not served in this version";
    assert!(told.contains(what), "`{what}` is not in:\n{told}");
    assert_eq!(told.matches("not served").count(), 1, "{told}");
}

#[test]
fn what_is_written_is_named_and_granted() {
    let may = |can: &str, rest: &str| grant(rest).replace("can: [read]", &format!("can: [{can}]"));
    for (rules, words) in [
        (
            may("read", "levels: { general: show }, writes: [mail]"),
            "`can` has neither `create` nor `update`",
        ),
        (may("delete", "writes: [mail]"), "`can` has neither `create` nor `update`"),
        (
            may("read, update", "levels: { general: show }"),
            "warning: this grant may create or update, but sets no field",
        ),
        (may("create", "writes: []"), "this list is empty"),
        (may("create", "writes: [mial]"), "unknown field `mial`\n"),
        (may("create", "writes: [mial]"), "did you mean `mail`?"),
        (may("create", "writes: [extra.sub]"), "unknown field `extra.sub`"),
        (
            may("update", "writes: [id, mail]"),
            "warning: `id` says whom a record is about, and never changes",
        ),
        (
            may("read, update", "writes: [mail]"),
            "a grant has one of `fields`, `categories` and `levels`",
        ),
    ] {
        check(&rules, &[words]);
    }
    let routes = "    routes: [ { on: \"GET /people/{id}\", records: \"$\" }, { on: \"PUT /people/{id}\", records: \"$\" } ]\n";
    let head = WORDS.replace("    fields: {", &format!("{routes}    fields: {{"));
    let told = faults_of(&format!("{head}{}", may("create, update", "writes: [mail]")));
    let words = "warning: `g` may create, but no data set of it has a route for that";
    assert!(told.contains(words), "{told}");
    assert!(told.contains("help: add a POST route, or leave it out"), "{told}");
    assert!(!told.contains("`g` may update"), "{told}");
    for served in ["create", "update", "delete"] {
        let writes = if served == "delete" { "" } else { "writes: [address, 'tags[*]', mail]" };
        let told = faults_of(&format!("{WORDS}{}", may(served, writes)));
        let only = told.lines().filter(|line| line.contains("a.yaml:"));
        assert!(only.clone().all(|line| line.contains(": warning: no ")), "{told}");
    }
}

/// What `check` says of one `pseudonymize`, shown of the address.
fn shaped(words: &str) -> String {
    let view = format!("{{ pseudonymize: {{ scope: purpose{words} }} }}");
    let told = faults_of(&format!("{WORDS}{}", grant(&format!("fields: {{ mail: {view} }}"))));
    let errors = |line: &&str| line.contains(".yaml:") && !line.contains(": warning: no ");
    told.lines().filter(errors).collect()
}

#[test]
fn shapes_say_what_they_are_made_of() {
    for words in [
        "",
        ", shape: token",
        ", shape: email",
        ", shape: card",
        ", shape: card, keep_last: 4",
        ", shape: card, digits: 16, keep_first: 6",
        ", shape: digits, digits: 6",
        ", shape: digits, min_digits: 10, keep_first: 4",
        ", shape: digits, digits: 16, luhn: true, keep_last: 4",
        ", shape: date",
        ", shape: date, days: 365",
    ] {
        assert_eq!(shaped(words), "", "{words}");
    }
    for (words, fault) in [
        (", shape: name", "unknown shape `name`"),
        (", shape: digits", "says how many digits a value has"),
        (", shape: digits, digits: 16, min_digits: 12", "says how many digits a value has"),
        (", shape: digits, digits: 5", "5"),
        (", shape: digits, digits: 39", "39"),
        (", shape: card, digits: 11", "11"),
        (", shape: card, luhn: false", "`luhn` is a word of shape `digits` alone"),
        (
            ", shape: email, keep_last: 4",
            "`keep_last` is a word of shape `digits` and `card` alone",
        ),
        (", days: 30", "`days` is a word of shape `date` alone"),
        (", shape: date, days: 0", "0"),
        (", shape: date, days: 4000", "4000"),
        (", shape: date, keep_first: 4", "`keep_first`"),
        (", scoop: all", "has no `scoop`"),
    ] {
        let told = shaped(words);
        assert!(told.contains(fault), "`{fault}` is not in: {words}: {told}");
    }
}

#[test]
fn a_domain_below_a_million_is_refused_with_the_reason() {
    for (words, left) in [
        (", shape: card, digits: 16, keep_first: 6, keep_last: 4", "100,000"),
        (", shape: card, keep_first: 6", "100,000"),
        (", shape: digits, digits: 6, keep_last: 1", "100,000"),
        (", shape: digits, digits: 6, luhn: true", "100,000"),
        (", shape: digits, min_digits: 11, keep_first: 3, keep_last: 4", "10,000"),
        (", shape: digits, min_digits: 7, keep_last: 6", "10"),
    ] {
        let told = shaped(words);
        assert!(told.contains(&format!("only {left} values are left")), "{words}: {told}");
        assert!(told.contains("1,000,000 that FF1 needs"), "{told}");
    }
    let all = ", shape: digits, digits: 10, keep_first: 30, keep_last: 38";
    assert!(shaped(all).contains("no digit is left"), "{}", shaped(all));
    check(
        &grant(
            "fields: { mail: { pseudonymize: { scope: purpose, shape: card, keep_first: 6 } } }",
        ),
        &["help: keep fewer digits, or use shape `token`"],
    );
}

#[test]
fn a_date_is_moved_of_one_person_alone() {
    let words = WORDS.replace(
        "subject: { field: id, domain: person }",
        "subject: [ { field: id, domain: person, fields: [id, mail] }, { field: 'mail', domain: person, fields: [mail] } ]",
    );
    let grant = grant("fields: { mail: { pseudonymize: { scope: purpose, shape: date } } }");
    let told = faults_of(&format!("{words}{grant}"));
    let fault = "`g` shows `mail` of `shop.people` as `pseudonymize as date ±30 days`, and nothing says which one person it is about";
    assert!(told.contains(fault), "{told}");
}

#[test]
fn what_is_sealed_has_ciphertext_and_matches_no_rows() {
    let text = "
privet: policy/v1
purposes: { help: { basis: contract } }
roles: { agent: { claim: roles, has: agent } }
data:
  shop.people: { subject: { field: id, domain: person }, fields: { id: { category: user.unique_id }, team: { category: user.name, at_rest: encrypt }, mail: { category: user.contact.email, at_rest: encrypt } } }
grants:
  - { id: g, roles: [agent], purposes: [help], data: [shop.people], can: [read], fields: { id: show, team: show, mail: ciphertext } }
";
    assert!(!faults_of(text).contains("ciphertext"));
    let told = faults_of(&text.replace("can: [read]", "can: [read], rows: { team: caller.team }"));
    assert!(told.contains("`team` is sealed, so `rows` cannot match it"), "{told}");
    let told = faults_of(&text.replace("id: show, team: show, mail", "team: show, id"));
    assert!(told.contains("warning: `ciphertext` of `id` in `g` shows nothing"), "{told}");
}
