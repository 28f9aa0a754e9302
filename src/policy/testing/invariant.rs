//! Invariants: what must hold for every caller and every record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::policy::CardFacts;
use crate::policy::ClearanceKind;
use crate::policy::Decision;
use crate::policy::Permit;
use crate::policy::PolicySet;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::decide::Asked;
use crate::policy::source::Holds;
use crate::policy::source::Model;
use crate::policy::verdict;
use crate::types::Action;
use crate::types::Consent;
use crate::types::ConsentForm;
use crate::types::Faults;
use crate::types::OwnCard;
use crate::types::Place;
use crate::types::Representative;
use crate::types::Timestamp;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::TestCase;
use super::select::Select;
use super::world;
use super::world::Axes;
use super::world::CallerFacts;
use super::world::OneRecord;
use super::world::World;

/// What must hold for every caller and every record.
#[derive(Debug)]
pub(super) struct Invariant {
    name: String,
    place: Place,
    /// Whether callers hold all roles at once, and not one alone.
    with_others: bool,
    select: Select,
    /// What callers and records of the selection must have; empty: there must be none.
    needs: Vec<Need>,
}

/// What a selection may need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need {
    Approval,
    BreakGlass,
    Consent,
    IsSubject,
    MfaWithin,
    Ticket,
}

impl Need {
    const ALL: [(&'static str, Self); 6] = [
        ("approval", Self::Approval),
        ("break_glass", Self::BreakGlass),
        ("consent", Self::Consent),
        ("is_subject", Self::IsSubject),
        ("mfa_within", Self::MfaWithin),
        ("ticket", Self::Ticket),
    ];

    const fn is_met(self, world: &World) -> bool {
        match self {
            Self::Approval => world.caller.approval,
            Self::BreakGlass => world.caller.break_glass,
            Self::Consent => world.record.consent,
            Self::IsSubject => world.caller.subject.is_some(),
            Self::MfaWithin => world.caller.mfa,
            Self::Ticket => world.caller.ticket,
        }
    }
}

/// Reads one item of `invariants:`.
pub(super) fn read(node: &Node, policy: &PolicySet, faults: &mut Faults) -> Option<Invariant> {
    let mut map = MapReader::new(node, "an invariant", faults)?;
    let name = map.required("name", faults).and_then(|node| node.text(faults));
    let with_others = map.optional("with_others").and_then(|node| node.bool(faults));
    let (never, always) = (map.optional("never"), map.optional("always"));
    let place = map.place().first_line();
    map.finish(faults);
    let (selection, is_never) = match (never, always) {
        (Some(node), None) => (node, true),
        (None, Some(node)) => (node, false),
        _ => {
            faults.error(&place, "an invariant has one of `never` and `always`", "");
            return None;
        }
    };
    let what = if is_never { "`never`" } else { "`always`" };
    let mut map = MapReader::new(selection, what, faults)?;
    let select = Select::read(&mut map, policy, faults);
    let needs = if is_never {
        Vec::new()
    } else {
        let words = Need::ALL.map(|(word, _)| word);
        let parse = |text: &str| Need::ALL.into_iter().find(|(w, _)| *w == text).map(|(_, n)| n);
        // Without a need, `always` would mean `never`.
        let texts = map.required("needs", faults).map(|node| {
            if node.one_or_list().is_empty() {
                faults.error(&node.place, "this list is empty", "add `mfa_within` or another need");
            }
            node.texts(faults)
        });
        let texts = texts.unwrap_or_default();
        texts.iter().filter_map(|(item, _)| item.word("need", parse, &words, faults)).collect()
    };
    map.finish(faults);
    let with_others = with_others.unwrap_or_default();
    Some(Invariant { name: name?.into(), place, with_others, select, needs })
}

/// Checks one invariant.
pub(super) fn check(invariant: &Invariant, policy: &Arc<PolicySet>, now: Timestamp) -> TestCase {
    let mut search = Search { invariant, policy, looked_at: 0, broken: 0, first: None };
    let model = policy.model();
    for set in 0..model.sets.len() {
        for purpose in 0..model.purposes.len() {
            // What may be written is not shown by that.
            for action in Action::ALL.into_iter().filter(|action| action.shows()) {
                if invariant.select.meets_cell(set, purpose) {
                    search.cell(set, purpose, action, now);
                }
            }
        }
    }
    let failures = match search.first {
        Some(first) => vec![format!("broken in {} combinations, first: {first}", search.broken)],
        None => Vec::new(),
    };
    TestCase {
        name: invariant.name.clone(),
        place: invariant.place.to_string(),
        failures,
        combinations: search.looked_at,
    }
}

/// The search for combinations that break an invariant.
struct Search<'a> {
    invariant: &'a Invariant,
    policy: &'a Arc<PolicySet>,
    looked_at: u64,
    broken: u64,
    first: Option<String>,
}

/// Callers who hold these roles.
struct Holders {
    roles: Vec<usize>,
    /// Whether being the subject of the record is one of them, is none, or may be.
    subject: Option<bool>,
}

impl Search<'_> {
    fn cell(&mut self, set: usize, purpose: usize, action: Action, now: Timestamp) {
        let (policy, model) = (self.policy, self.policy.model());
        let tables = policy.tables();
        let cell = tables.find(set, purpose, action).and_then(|at| tables.cell(at));
        let (Some(cell), Some(data)) = (cell, model.sets.get(set)) else { return };
        let lists = self.invariant.select.regions();
        let axes = Axes::new(model, cell, (set, purpose), now, lists);
        let records = axes.records();
        let acts = !world::may_represent(model).is_none();
        let standing = OwnCard { who: acts.then_some(world::CALLER), is_dead: false };
        let Some(name) = model.purposes.get(purpose).map(|purpose| purpose.id.clone()) else {
            return;
        };
        for holders in self.holders(model) {
            let people = (0..data.subjects.len()).map(Some);
            let subjects: Vec<Option<usize>> = match holders.subject {
                Some(true) => people.collect(),
                Some(false) => vec![None],
                None => people.chain([None]).collect(),
            };
            for caller in axes.callers(&subjects) {
                let domain = caller.subject.and_then(|at| data.subjects.get(at));
                let domain = domain.map(|subject| &subject.domain);
                let identity = world::identity(&caller, &holders.roles, model, cell, domain);
                let asked = Asked {
                    identity: &identity,
                    on_behalf_of: None,
                    standing: [standing, OwnCard::default()],
                    purpose: Some(name.as_str()),
                    default_purpose: None,
                    set,
                    action,
                    selects_by: &[],
                    gpc: false,
                    now: caller.now,
                };
                match asked.decide(policy) {
                    Decision::Permit(permit) => {
                        for record in &records {
                            self.record(&permit, &holders, &caller, record);
                        }
                    }
                    // Nothing is shown of any of the records.
                    Decision::Refuse(_) => {
                        self.looked_at += u64::try_from(records.len()).unwrap_or(0);
                    }
                }
            }
        }
    }

    fn record(
        &mut self,
        permit: &Permit,
        holders: &Holders,
        caller: &CallerFacts,
        record: &OneRecord,
    ) {
        self.looked_at += 1;
        let world = World { caller: *caller, record: *record };
        let met = self.invariant.needs.iter().all(|need| need.is_met(&world));
        let spoken_of = self.invariant.select.meets_world(&world);
        if !spoken_of || met && !self.invariant.needs.is_empty() {
            return;
        }
        let mut scratch = Scratch::new();
        let model = self.policy.model();
        let opt_out = model.purposes.get(permit.purpose_at);
        let Verdict::Release { views, .. } = judge(permit, &world, opt_out, &mut scratch) else {
            return;
        };
        let views: Vec<View> = views.to_vec();
        for ((_, field), view) in permit.set().indexed().zip(&views) {
            if !self.invariant.select.meets_field(field, *view) {
                continue;
            }
            self.broken += 1;
            if self.first.is_none() {
                let rules: Vec<&str> = permit.rules(&scratch).map(|rule| rule.as_str()).collect();
                self.first = Some(format!(
                    "{} for `{}` may {} `{}.{}` as {view} by {} with {}",
                    told_roles(holders, model),
                    permit.purpose(),
                    permit.action(),
                    permit.set_id(),
                    field.path,
                    rules.join(", "),
                    told(&world)
                ));
            }
        }
    }

    /// Which callers are looked at: each role alone, or all roles together.
    fn holders(&self, model: &Model) -> Vec<Holders> {
        let select = &self.invariant.select;
        let holds = |at: usize| model.roles.get(at).map(|role| &role.holds);
        let is_subject = |at: &usize| matches!(holds(*at), Some(Holds::Subject { .. }));
        let all = (0..model.roles.len()).filter(|at| !select.not_roles.contains(at));
        if self.invariant.with_others {
            let roles: Vec<usize> = all.collect();
            let any = roles.iter().any(is_subject);
            return vec![Holders { roles, subject: if any { None } else { Some(false) } }];
        }
        let wanted = |at: &usize| select.roles.as_ref().is_none_or(|roles| roles.contains(at));
        let holders = all.filter(wanted).map(|at| {
            // Who may act for others may be somebody else than the subject, too.
            let alone = matches!(holds(at), Some(Holds::Subject { or }) if !or.is_none());
            let subject = (!alone).then(|| is_subject(&at));
            Holders { roles: vec![at], subject }
        });
        holders.collect()
    }
}

/// Judges a record of a world.
fn judge<'s>(
    permit: &'s Permit,
    world: &World,
    purpose: Option<&crate::policy::source::Purpose>,
    scratch: &'s mut Scratch,
) -> Verdict<'s> {
    let set = permit.set();
    let consent = purpose.and_then(|purpose| purpose.consent.clone());
    let consents: BTreeMap<Box<str>, Consent> = consent
        .filter(|_| world.record.consent)
        .map(|name| (name, Consent::Given { until: None, form: ALL_FORMS }))
        .into_iter()
        .collect();
    let opt_out = purpose.and_then(|purpose| purpose.opt_out.clone());
    let opt_outs: BTreeSet<Box<str>> =
        opt_out.filter(|_| world.record.opted_out).into_iter().collect();
    let status = world.record.status;
    let representatives: Vec<Representative> = world
        .record
        .represented
        .into_iter()
        .map(|kind| Representative {
            who: world::CALLER,
            kind,
            until: Timestamp::from_unix_ms(u64::MAX),
            proof: "".into(),
        })
        .collect();
    let (consents, opt_outs) = (&consents, &opt_outs);
    let card = CardFacts { status, consents, opt_outs, representatives: &representatives };
    let ids: Vec<String> = (0..set.subjects.len()).map(world::subject_id).collect();
    let subjects: Vec<RecordSubject<'_>> =
        ids.iter().map(|id| RecordSubject { id: Some(id), card: Some(card) }).collect();
    let row = if world.record.rows { world::ROW } else { "another row" };
    let values: Vec<Option<Cow<'_, str>>> =
        permit.fact_fields().iter().map(|_| Some(Cow::Borrowed(row))).collect();
    let (region, now) = (world.record.region, world.caller.now);
    verdict(permit, &RecordFacts { subjects: &subjects, region, values: &values, now }, scratch)
}

fn told_roles(holders: &Holders, model: &Model) -> String {
    let names = holders.roles.iter().filter_map(|at| model.roles.get(*at));
    let names: Vec<String> = names.map(|role| format!("`{}`", role.id)).collect();
    names.join(" and ")
}

fn told(world: &World) -> String {
    let World { caller, record } = world;
    let region = |region: Option<crate::types::Region>| {
        region.map_or_else(|| "an unknown country".into(), |region| region.to_string())
    };
    let has =
        |fact: bool, word: &str| if fact { format!("{word}, ") } else { format!("no {word}, ") };
    let cleared = |fact: bool, kind: ClearanceKind| match fact {
        true => format!("{}, ", kind.as_str()),
        false => String::new(),
    };
    format!(
        "{}{}{}{}{}a caller in {}, a record of {}, status {}{}",
        has(caller.mfa, "mfa"),
        has(caller.ticket, "ticket"),
        cleared(caller.approval, ClearanceKind::Approval),
        cleared(caller.break_glass, ClearanceKind::BreakGlass),
        has(record.consent, "consent"),
        region(caller.region),
        region(record.region),
        record.status,
        record.represented.map_or_else(String::new, |kind| format!(", whose {kind} the caller is"))
    )
}

/// Consent in whatever form a purpose wants.
const ALL_FORMS: ConsentForm = ConsentForm { separate: true, by_guardian: true };
