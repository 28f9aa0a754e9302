//! Matrix and difference against the evaluator that was written apart, and pinned in full.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::NOW;
use super::compile;
use super::dice;
use super::dice::Dice;
use super::dice::Person;
use super::dice::Policy;
use super::dice::Record;
use super::naive;
use crate::catalog::DataSet;
use crate::policy::Change;
use crate::policy::Filter;
use crate::policy::Given;
use crate::policy::Identity;
use crate::policy::Language;
use crate::policy::Matrix;
use crate::policy::PolicySet;
use crate::policy::Question;
use crate::policy::View;
use crate::policy::diff;
use crate::policy::explain;
use crate::policy::report::Form;
use crate::policy::report::Kind;
use crate::policy::report::Row;
use crate::policy::report::World;
use crate::policy::report::rows;
use crate::policy::source::Holds;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::Consent;
use crate::types::FieldPath;
use crate::types::PurposeId;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::Statuses;
use crate::types::SubjectStatus;

/// What rows need to know of a caller and a record; `None`: nothing is shown of such a person.
fn world(
    policy: &PolicySet,
    set: &DataSet,
    caller: &Identity,
    record: &Record,
    (purpose, who): (usize, Option<&Person>),
) -> Option<World> {
    let roles = policy.model().roles.iter().filter(|role| match &role.holds {
        Holds::Claim { claim, has } => {
            caller.claims.get(claim).is_some_and(|values| values.contains(has))
        }
        Holds::Subject { .. } => false,
    });
    let mut world = World {
        roles: roles.map(|role| role.id.clone()).collect(),
        mfa_age_s: caller.mfa_at.map(|at| NOW.unix_s() - at.unix_s()),
        ticket: caller.ticket,
        now: NOW,
        record_region: record.region,
        caller_region: caller.region,
        recipient: caller.recipient.clone(),
        ..World::default()
    };
    for row in policy.model().grants.iter().flat_map(|grant| &grant.rows) {
        let values = caller.claims.get(&row.claim).into_iter().flatten();
        if values.into_iter().any(|value| Some(&**value) == record.team) {
            world.rows.insert((row.field.clone(), row.claim.clone()));
        }
    }
    for had in caller.cleared.iter() {
        let is_for = had.purpose.as_ref().is_none_or(|it| it.as_str() == dice::PURPOSES[purpose]);
        let age = NOW.unix_ms().checked_sub(had.from.unix_ms()).filter(|_| NOW < had.until);
        if let (Some(age), true) = (age, is_for) {
            let key = (had.kind, had.grant.clone(), had.role.clone());
            let youngest = world.cleared_age_s.entry(key).or_insert(age / 1000);
            *youngest = (*youngest).min(age / 1000);
        }
    }
    if let Some(person) = who {
        let card = person.card.as_ref()?;
        let id = person.id?;
        if card.status.contains(SubjectStatus::Erased) {
            return None;
        }
        world.status = card.status;
        world.opted_out.clone_from(&card.opt_outs);
        let given = card.consents.iter().filter_map(|(name, said)| match said {
            Consent::Given { form, .. } if said.allows(NOW) => Some((name.clone(), *form)),
            _ => None,
        });
        world.consents = given.collect();
        let at = record.people.iter().position(|it| std::ptr::eq(it, person))?;
        let domain = &set.subjects[at].domain;
        let is_own = caller
            .subject
            .as_ref()
            .is_some_and(|(own, own_id)| own == domain && own_id.expose() == id);
        let standing = dice::standing(caller);
        let own = if is_own { Capacities::SELF } else { Capacities::NONE };
        let named = card.representatives.iter();
        let named = named.filter(|it| standing.who == Some(it.who) && NOW < it.until);
        if !standing.is_dead {
            world.stands = named.fold(own, |ways, it| ways.with(it.kind));
        }
    }
    Some(world)
}

/// What the rows say of a record, put together for each person as the design says.
fn judged(
    policy: &PolicySet,
    all: &[Row],
    (set_at, purpose, action, kind): (usize, usize, Action, Kind),
    caller: &Identity,
    record: &Record,
) -> Vec<Form> {
    let set = &policy.sets()[set_at];
    let closed = if kind == Kind::Shown { Form::View(View::Drop) } else { Form::May(false) };
    let fields = set.indexed().map(|(ix, field)| {
        let row = all.iter().find(|row| {
            row.key.purpose.as_str() == dice::PURPOSES[purpose]
                && row.key.data == set.id
                && row.key.action == action
                && row.key.kind == kind
                && row.key.field.as_ref() == Some(&field.path)
        });
        let people: Vec<Option<usize>> = naive::about(set, ix);
        let forms = people.into_iter().map(|who| {
            let who = who.map(|at| &record.people[at]);
            let world = world(policy, set, caller, record, (purpose, who));
            row.zip(world).map_or(closed, |(row, world)| row.judge(&world))
        });
        forms.reduce(both).unwrap_or(closed)
    });
    fields.collect()
}

fn both(a: Form, b: Form) -> Form {
    match (a, b) {
        (Form::View(a), Form::View(b)) => Form::View(a.narrower(b)),
        (Form::May(a), Form::May(b)) => Form::May(a && b),
        _ => unreachable!(),
    }
}

fn cells() -> impl Iterator<Item = (usize, usize)> {
    (0..dice::SETS.len()).flat_map(|set| (0..dice::PURPOSES.len()).map(move |p| (set, p)))
}

/// The caller with one of their roles alone; `None`: as the subject.
fn alone(caller: &Identity, policy: &PolicySet, role: Option<usize>) -> Identity {
    let mut one = caller.clone();
    one.claims.retain(|claim, _| **claim == *"team");
    if let Some(Holds::Claim { claim, has }) = role.map(|at| &policy.model().roles[at].holds) {
        one.claims.insert(claim.clone(), vec![has.clone()]);
        one.subject = None;
    }
    one
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..800)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_matrix_says_what_the_naive_evaluator_says(bytes in bytes()) {
        let dice = &mut Dice(bytes.iter());
        let text = Policy::roll(dice).text(None, None);
        let policy = compile(&text);
        let all = rows(&policy);
        for _ in 0..3 {
            let (caller, record) = (dice::caller(dice), dice::record(dice));
            for (set, purpose) in cells() {
                let seen = judged(&policy, &all, (set, purpose, Action::Read, Kind::Shown), &caller, &record);
                let expected = naive::shown(policy.model(), set, purpose, &[&caller], &record);
                let drop = vec![View::Drop; seen.len()];
                let expected: Vec<Form> =
                    expected.unwrap_or(drop).into_iter().map(Form::View).collect();
                prop_assert_eq!(seen, expected, "{} {}\n{}", set, purpose, &text);
                for action in [Action::Create, Action::Update] {
                    // A record about several people is made as one, which no row can say.
                    if policy.sets()[set].subjects.len() > 1 {
                        continue;
                    }
                    let seen = judged(&policy, &all, (set, purpose, action, Kind::Set), &caller, &record);
                    let expected =
                        naive::writable(policy.model(), (set, purpose, action), &[&caller], &record);
                    let expected = expected.unwrap_or(vec![false; seen.len()]);
                    let expected: Vec<Form> = expected.into_iter().map(Form::May).collect();
                    prop_assert_eq!(seen, expected, "{} {} {}\n{}", set, purpose, action, &text);
                }
            }
            // And what is printed for one role says the same of callers who hold it alone.
            for (at, role) in policy.model().roles.iter().enumerate() {
                let gives = role.holds.gives();
                let mut one = alone(&caller, &policy, Some(at));
                let mut record = record.clone();
                if !gives.is_none() {
                    // Whoever acts for somebody in another way holds another role too.
                    let cards = record.people.iter_mut().filter_map(|it| it.card.as_mut());
                    for card in cards {
                        card.representatives.retain(|it| gives.kinds().any(|kind| kind == it.kind));
                    }
                    one.claims.retain(|claim, _| **claim == *"team");
                }
                let own: Vec<Row> =
                    all.iter().filter_map(|row| row.of_role(&role.id, gives)).collect();
                for (set, purpose) in cells() {
                    let seen = judged(&policy, &own, (set, purpose, Action::Read, Kind::Shown), &one, &record);
                    let expected = naive::shown(policy.model(), set, purpose, &[&one], &record);
                    let drop = vec![View::Drop; seen.len()];
                    let expected: Vec<Form> =
                        expected.unwrap_or(drop).into_iter().map(Form::View).collect();
                    prop_assert_eq!(seen, expected, "{} {} {}\n{}", &role.id, set, purpose, &text);
                }
            }
        }
    }

    #[test]
    fn no_cell_differs_without_a_line_in_the_difference(
        bytes in bytes(),
        gone in 0_usize..6,
        limit in 0_usize..6,
    ) {
        let dice = &mut Dice(bytes.iter());
        let written = Policy::roll(dice);
        let (gone, limit) = (Some(gone).filter(|at| *at < written.grants.len()), Some(limit));
        let before = compile(&written.text(None, None));
        let after = compile(&written.text(gone, limit));
        let found = diff(&before, &after);
        let back = diff(&after, &before);
        prop_assert_eq!(&diff(&before, &before).lines, &Vec::new());
        let mirrored: BTreeSet<_> = back.lines.iter().map(|line| {
            (line.roles.clone(), line.purpose.clone(), line.data.clone(), line.action, line.field.clone(),
                line.change.mirrored(), line.after.clone(), line.before.clone())
        }).collect();
        let own: BTreeSet<_> = found.lines.iter().map(|line| {
            (line.roles.clone(), line.purpose.clone(), line.data.clone(), line.action, line.field.clone(),
                line.change, line.before.clone(), line.after.clone())
        }).collect();
        prop_assert_eq!(own, mirrored);
        for _ in 0..4 {
            let (caller, record) = (dice::caller(dice), dice::record(dice));
            for (set, purpose) in cells() {
                let see = |policy: &PolicySet| {
                    naive::shown(policy.model(), set, purpose, &[&caller], &record)
                };
                let (old, new) = (see(&before), see(&after));
                let data = &before.sets()[set];
                for (ix, field) in data.indexed() {
                    let view = |views: &Option<Vec<View>>| {
                        views.as_ref().map_or(View::Drop, |views| views[ix.index()])
                    };
                    let (old, new) = (view(&old), view(&new));
                    if old == new {
                        continue;
                    }
                    let line = found.lines.iter().find(|line| {
                        line.data.as_ref() == Some(&data.id)
                            && line.purpose.as_ref().is_some_and(|it| it.as_str() == dice::PURPOSES[purpose])
                            && line.field == field.path.as_str()
                            && line.action == Some(Action::Read)
                            && (new.rank() >= old.rank() || line.change != Change::Narrower)
                    });
                    prop_assert!(line.is_some(), "{old} {new} {field:?}\n{}", written.text(None, None));
                }
            }
        }
    }
}

/// A small policy in which each kind of condition stands once.
pub(super) const SMALL: &str = r#"privet: policy/v1
name: small
title: { en: A small shop, zh-CN: 小店 }
owner: officer@shop.example
review_by: 2027-06-30
purposes:
  help: { title: { en: Help customers, zh-CN: 客户服务 }, basis: contract }
  stats: { basis: { default: legitimate_interest, CN: consent }, consent: stats, opt_out: stats }
roles:
  agent: { claim: roles, has: agent }
  boss: { claim: roles, has: boss }
  me: { is_subject: true }
views:
  tail: { mask: { keep_last: 4 } }
data:
  shop.people:
    title: { en: People, zh-CN: 客户 }
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /people/{id}", records: "$" }
      - { on: "GET /people", records: "$[*]", find_by: { mail: mail } }
      - { on: "PATCH /people/{id}", records: "$", unsafe_writes: accepted }
    fields:
      id: { category: user.unique_id }
      mail: { category: user.contact.email }
      phone: { category: user.contact.phone_number }
      country: { category: user.contact.address.country, level: general }
grants:
  - { id: agents, roles: [agent], purposes: [help], data: [shop.people], can: [read, update], find_by: [mail], rows: { country: caller.country }, fields: { id: show, phone: tail }, writes: [phone] }
  - { id: bosses, roles: [boss], purposes: [help], data: [shop.people], can: [read], needs: { mfa_within: 15 minutes, ticket: true }, valid: { until: 2027-01-01 }, levels: { general: show, sensitive: show } }
  - { id: counting, roles: [boss], purposes: [stats], data: [shop.people], can: [read], fields: { country: show } }
  - { id: own, roles: [me], purposes: [help], data: [shop.people], can: [read], levels: { general: show, sensitive: show } }
limits:
  - { id: frozen, if: { subject_status: restricted }, unless: { roles: [me] }, then: leave_out }
  - { id: out, if: { opted_out: true }, then: leave_out }
  - { id: abroad, if: { record_region: [CN], caller_region_not: [CN], levels: [sensitive] }, then: tail }
  - { id: bulk, roles: [boss], if: { subjects_shown_over: 20, within: 10 minutes }, then: deny }
"#;

const SHIPPED: &str = include_str!("../../../policies/customer-care.yaml");

#[test]
fn the_matrix_of_a_small_policy_is_pinned() {
    let policy = compile(SMALL);
    for (name, language) in [("small", Language::English), ("small_zh", Language::Chinese)] {
        let matrix = Matrix::of(&policy, &Filter::default(), language);
        insta::assert_snapshot!(format!("matrix_{name}.txt"), matrix.table());
        insta::assert_snapshot!(format!("matrix_{name}.html"), matrix.html(NOW));
    }
    let matrix = Matrix::of(&policy, &Filter::default(), Language::English);
    insta::assert_snapshot!(
        "matrix_small.json",
        serde_json::to_string_pretty(&matrix.json()).unwrap()
    );
    let rows: Vec<String> = matrix.rows().iter().map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!("matrix_small.rows", rows.join("\n"));
}

#[test]
fn the_matrix_of_the_shipped_policy_is_pinned() {
    let policy = compile(SHIPPED);
    let matrix = Matrix::of(&policy, &Filter::default(), Language::English);
    insta::assert_snapshot!("matrix_shipped.txt", matrix.table());
}

#[test]
fn a_filter_shows_a_part() {
    let policy = compile(SMALL);
    let filter =
        Filter { roles: vec!["boss".into()], purposes: vec!["stats".into()], data: vec![] };
    let rows = Matrix::of(&policy, &filter, Language::English).rows();
    assert!(rows.iter().all(|row| row[0] == "boss" && row[1] == "stats"));
    assert_eq!(rows.len(), 4);
}

/// Each change of the policy, and the lines that must tell it.
#[test]
fn changes_are_told_cell_by_cell() {
    let old = compile(SMALL);
    let mut told = String::new();
    for (what, from, to) in [
        ("nothing but a name", "id: agents,", "id: clerks,"),
        ("a view", "phone: tail }", "phone: show }"),
        (
            "a need gone",
            "needs: { mfa_within: 15 minutes, ticket: true }",
            "needs: { ticket: true }",
        ),
        ("a need stricter", "mfa_within: 15 minutes", "mfa_within: 5 minutes"),
        ("a longer time", "until: 2027-01-01", "until: 2028-01-01"),
        ("rows gone", "rows: { country: caller.country }, ", ""),
        ("another row", "country: caller.country", "mail: caller.mail"),
        ("a selector gone", "find_by: [mail], rows", "rows"),
        ("a write more", "writes: [phone]", "writes: [phone, mail]"),
        (
            "a limit gone",
            "  - { id: frozen, if: { subject_status: restricted }, unless: { roles: [me] }, then: leave_out }\n",
            "",
        ),
        ("a limit lifted for others", "unless: { roles: [me] }", "unless: { roles: [me, boss] }"),
        (
            "a limit for one more status",
            "subject_status: restricted",
            "subject_status: [restricted, minor]",
        ),
        ("a count raised", "subjects_shown_over: 20,", "subjects_shown_over: 200,"),
        (
            "consent everywhere",
            "basis: { default: legitimate_interest, CN: consent }",
            "basis: consent",
        ),
        (
            "another form",
            "tail: { mask: { keep_last: 4 } }",
            "tail: { mask: { keep_last: 2, keep_first: 1 } }",
        ),
        (
            "a role for others",
            "boss: { claim: roles, has: boss }",
            "boss: { claim: groups, has: boss }",
        ),
        ("guardians too", "is_subject: true", "is_subject: true, or_representative: [guardian]"),
        (
            "a ground that an objection takes away",
            "basis: contract",
            "basis: { default: contract, GB: legitimate_interest }",
        ),
        (
            "other people",
            "subject: { field: id, domain: person }",
            "subject: { field: id, domain: client }",
        ),
        (
            "a field more",
            "      country: {",
            "      nick: { category: user.name }\n      country: {",
        ),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let new = compile(&SMALL.replace(from, to));
        let found = diff(&old, &new);
        told.push_str(&format!(
            "# {what}: {}\n{}\n",
            found.summary(),
            found.table(|_| String::new())
        ));
    }
    insta::assert_snapshot!("diff_small", told);
}

#[test]
fn a_change_of_the_shipped_policy_is_pinned() {
    let old = compile(SHIPPED);
    let new = compile(&SHIPPED.replace("email: email-hint, phone: tail-4", "email: show"));
    let found = diff(&old, &new);
    assert!(found.is_wider());
    insta::assert_snapshot!("diff_shipped", found.table(|_| String::new()));
    let json = serde_json::to_string_pretty(&found.json(|_| serde_json::Value::Null)).unwrap();
    insta::assert_snapshot!("diff_shipped.json", json);
}

/// What only shows for callers who hold two roles has a line of its own.
#[test]
fn limits_on_another_role_are_told() {
    let limit = "  - { id: bulk, roles: [boss]";
    let with = SMALL.replace(limit, &format!("  - {{ id: not-both, roles: [agent], purposes: [stats], if: {{ levels: [general] }}, then: drop }}\n{limit}"));
    let found = diff(&compile(SMALL), &compile(&with));
    let roles: Vec<Vec<RoleId>> = found.lines.iter().map(|line| line.roles.clone()).collect();
    let both = ["agent", "boss"].map(|role| RoleId::parse(role).unwrap()).to_vec();
    assert_eq!(roles, vec![both]);
    assert_eq!(found.lines[0].change, Change::Narrower);
}

fn question(policy: &PolicySet, words: &str) -> Question {
    let word = |key: &str| words.split(' ').find_map(|word| word.strip_prefix(key));
    let has = |flag: &str| words.split(' ').any(|word| word == flag);
    let field = word("field=").unwrap();
    let set = policy.sets().iter().find(|set| field.starts_with(set.id.as_str())).unwrap();
    Question {
        role: RoleId::parse(word("as=").unwrap()).unwrap(),
        purpose: PurposeId::parse(word("for=").unwrap()).unwrap(),
        data: set.id.clone(),
        field: FieldPath::parse(
            field.strip_prefix(set.id.as_str()).unwrap().trim_start_matches('.'),
        )
        .unwrap(),
        action: word("action=").map_or(Action::Read, |text| Action::parse(text).unwrap()),
        given: Given {
            region: word("region=").and_then(Region::parse),
            record_region: word("record-region=").and_then(Region::parse),
            mfa: has("mfa"),
            cleared: has("cleared"),
            gpc: has("gpc"),
            recipient: None,
            ticket: has("ticket"),
            is_subject: has("is-subject"),
            acts_as: word("acts-as=").and_then(RepresentativeKind::parse),
            rows: has("rows"),
            consent: has("consent"),
            opted_out: has("opted-out"),
            status: word("status=").map_or(Statuses::ACTIVE, |text| Statuses::parse(text).unwrap()),
            now: NOW,
        },
    }
}

#[test]
fn explanations_are_pinned() {
    let mut told = String::new();
    for (text, lines) in [
        (
            SHIPPED,
            [
                "as=support for=order_support field=shop.customers.email region=GB record-region=GB",
                "as=support for=order_support field=shop.customers.email region=GB",
                "as=support for=fraud_check field=shop.customers.national_id record-region=GB",
                "as=analyst for=analytics field=shop.customers.birthday record-region=CN region=CN",
                "as=customer for=subject_request field=shop.customers.health_note",
            ]
            .as_slice(),
        ),
        (
            SMALL,
            [
                "as=agent for=help field=shop.people.phone record-region=CN region=GB rows",
                "as=agent for=help field=shop.people.phone action=update rows status=held,restricted",
                "as=boss for=help field=shop.people.mail mfa ticket record-region=CN region=GB",
                "as=me for=help field=shop.people.mail status=restricted record-region=GB",
                "as=boss for=stats field=shop.people.country record-region=CN opted-out consent",
                "as=boss for=stats field=shop.people.country record-region=GB status=objected",
                "as=me for=help field=shop.people.mail status=deceased record-region=GB",
            ]
            .as_slice(),
        ),
        (
            &SMALL.replace("is_subject: true", "is_subject: true, or_representative: [guardian]"),
            &[
                "as=me for=help field=shop.people.mail acts-as=guardian record-region=GB",
                "as=me for=help field=shop.people.mail acts-as=guardian status=minor record-region=GB",
            ],
        ),
    ] {
        let policy = compile(text);
        for line in lines {
            let found = explain(&policy, &question(&policy, line));
            told.push_str(&format!("# {line}\n{}\n", found.text()));
        }
    }
    insta::assert_snapshot!("explain", told);
    let policy = compile(SMALL);
    let found =
        explain(&policy, &question(&policy, "as=agent for=help field=shop.people.phone rows"));
    insta::assert_snapshot!("explain.json", serde_json::to_string_pretty(&found.json()).unwrap());
}

/// Rules without effect are told with their place and what would help.
#[test]
fn rules_without_effect_are_warned_of() {
    let mut told = String::new();
    let grant = |rest: &str| {
        format!(
            "  - {{ id: more, roles: [agent], purposes: [help], data: [shop.people], can: [read], {rest} }}\nlimits:"
        )
    };
    let limit = |rest: &str| format!("{SMALL}  - {{ id: more, {rest} }}\n");
    let with = |rest: &str| SMALL.replace("limits:", &grant(rest));
    for (what, text) in [
        ("nothing", SMALL.to_owned()),
        (
            "a grant that another covers",
            with("rows: { country: caller.country }, fields: { phone: tail }"),
        ),
        (
            "the same with a need more",
            with(
                "rows: { country: caller.country }, needs: { ticket: true }, fields: { phone: tail }",
            ),
        ),
        (
            "a grant that shows more",
            with("rows: { country: caller.country }, fields: { phone: show }"),
        ),
        ("a grant that drops all", with("fields: { phone: drop }")),
        (
            "a limit for a purpose without grants",
            limit("purposes: [help], if: { opted_out: true }, then: leave_out"),
        ),
        ("a limit that cuts nothing", limit("if: { levels: [critical] }, then: drop")),
        (
            "a limit that takes all of a role",
            limit("roles: [boss], purposes: [stats], if: { levels: [general] }, then: leave_out"),
        ),
        (
            "a view that nobody uses",
            SMALL.replace("views:\n", "views:\n  head: { mask: { keep_first: 1 } }\n"),
        ),
        (
            "a purpose that nobody uses",
            SMALL.replace("purposes:\n", "purposes:\n  idle: { basis: contract }\n"),
        ),
        (
            "a role that nobody uses",
            SMALL.replace("roles:\n", "roles:\n  idle: { claim: roles, has: idle }\n"),
        ),
        (
            "a field that nobody is shown",
            SMALL.replace(
                "      country: {",
                "      note: { category: user.health_and_medical }\n      country: {",
            ),
        ),
        ("a review that is due", SMALL.replace("review_by: 2027-06-30", "review_by: 2026-12-01")),
        (
            "a review that is overdue",
            SMALL.replace("review_by: 2027-06-30", "review_by: 2026-11-01"),
        ),
        ("a grant that lapsed", SMALL.replace("until: 2027-01-01", "until: 2026-01-01")),
    ] {
        told.push_str(&format!("# {what}\n{}\n", super::faults_of(&text)));
    }
    insta::assert_snapshot!("warnings", told);
}
