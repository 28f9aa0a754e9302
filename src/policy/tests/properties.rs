//! The compiled policy against the naive one, and what must hold of every policy.

use std::borrow::Cow;
use std::sync::Arc;

use proptest::prelude::*;

use super::NOW;
use super::dice;
use super::dice::Dice;
use super::dice::Person;
use super::dice::Policy;
use super::dice::Record;
use super::file;
use super::naive;
use super::told;
use crate::catalog::FieldIx;
use crate::policy::CardFacts;
use crate::policy::Decision;
use crate::policy::Identity;
use crate::policy::Permit;
use crate::policy::PolicySet;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::View;
use crate::policy::WriteVerdict;
use crate::policy::decide::Asked;
use crate::policy::read_for_fuzzing;
use crate::policy::verdict;
use crate::policy::write_verdict;
use crate::types::Action;
use crate::types::Faults;
use crate::types::SubjectStatus;

fn compile(text: &str) -> Arc<PolicySet> {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("a.yaml", text)], NOW, &mut faults);
    Arc::new(set.unwrap_or_else(|| panic!("{}\n{text}", told(faults))))
}

/// What the compiled policy lets be set; `None`: nothing may be written.
fn writable(
    policy: &Arc<PolicySet>,
    (set, purpose, action): (usize, usize, Action),
    callers: &[&Identity],
    record: &Record,
) -> Option<Vec<bool>> {
    let permit = permit(policy, (set, purpose, action), callers, &[])?;
    with_facts(&permit, record, |facts| match write_verdict(&permit, facts, &mut Scratch::new()) {
        WriteVerdict::Allow { writable } => Some(writable.to_vec()),
        WriteVerdict::LeaveOut { .. } => None,
    })
}

fn permit(
    policy: &Arc<PolicySet>,
    (set, purpose, action): (usize, usize, Action),
    callers: &[&Identity],
    selects_by: &[FieldIx],
) -> Option<Permit> {
    let asked = Asked {
        identity: callers[0],
        on_behalf_of: callers.get(1).copied(),
        standing: [callers.first(), callers.get(1)]
            .map(|caller| caller.map(|it| dice::standing(it)).unwrap_or_default()),
        purpose: Some(dice::PURPOSES[purpose]),
        default_purpose: None,
        set,
        action,
        selects_by,
        gpc: false,
        now: NOW,
    };
    match asked.decide(policy) {
        Decision::Permit(permit) => Some(permit),
        Decision::Refuse(_) => None,
    }
}

fn with_facts<T>(permit: &Permit, record: &Record, then: impl FnOnce(&RecordFacts<'_>) -> T) -> T {
    let data = permit.set();
    let subjects: Vec<RecordSubject<'_>> = record
        .people
        .iter()
        .take(data.subjects.len())
        .map(|person| RecordSubject {
            id: person.id,
            card: person.card.as_ref().map(|card| CardFacts {
                status: card.status,
                consents: &card.consents,
                opt_outs: &card.opt_outs,
                representatives: &card.representatives,
            }),
        })
        .collect();
    let values = vec![record.team.map(Cow::Borrowed); permit.fact_fields().len()];
    let region = data.region.and(record.region);
    then(&RecordFacts { subjects: &subjects, region, values: &values, now: NOW })
}

/// What the compiled policy shows; `None`: nothing.
fn shown(
    policy: &Arc<PolicySet>,
    (set, purpose): (usize, usize),
    callers: &[&Identity],
    record: &Record,
    selects_by: &[FieldIx],
) -> Option<(Vec<View>, Vec<String>)> {
    let permit = permit(policy, (set, purpose, Action::Read), callers, selects_by)?;
    let mut scratch = Scratch::new();
    let views = with_facts(&permit, record, |facts| match verdict(&permit, facts, &mut scratch) {
        Verdict::Release { views, .. } => Some(views.to_vec()),
        Verdict::LeaveOut { .. } => None,
    })?;
    for (view, widest) in views.iter().zip(permit.widest()) {
        assert!(widest.class() <= view.class(), "{widest} is not the most, {view} is shown");
    }
    Some((views, permit.rules(&scratch).map(ToString::to_string).collect()))
}

/// A policy with a few calls.
struct Case {
    policy: Policy,
    callers: Vec<Identity>,
    records: Vec<Record>,
}

fn case(bytes: &[u8]) -> Case {
    let dice = &mut Dice(bytes.iter());
    let policy = Policy::roll(dice);
    let callers = (0..3).map(|_| dice::caller(dice)).collect();
    let records = (0..4).map(|_| dice::record(dice)).collect();
    Case { policy, callers, records }
}

fn cells() -> impl Iterator<Item = (usize, usize)> {
    (0..dice::SETS.len()).flat_map(|set| (0..dice::PURPOSES.len()).map(move |p| (set, p)))
}

/// Whether `new` says no more than `old`, field by field.
fn no_more(new: Option<&[View]>, old: Option<&[View]>, by_rank: bool) -> bool {
    let Some(new) = new else { return true };
    new.iter().enumerate().all(|(at, new)| {
        let old = old.map_or(View::Drop, |old| old[at]);
        let rank = !by_rank || new.rank() >= old.rank();
        // Of two views that cannot be compared, an overriding grant may choose the other one.
        !new.reveals() || new.class() >= old.class() && rank
    })
}

/// Whether `new` lets nothing be set that `old` does not.
fn within(new: Option<&[bool]>, old: Option<&[bool]>) -> bool {
    match (new, old) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(new), Some(old)) => new.iter().zip(old).all(|(new, old)| !new || *old),
    }
}

const WRITES: [Action; 3] = [Action::Create, Action::Update, Action::Delete];

fn dice_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..800)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_policies_mean_what_the_naive_ones_mean(bytes in dice_bytes()) {
        let case = case(&bytes);
        let text = case.policy.text(None, None);
        let policy = compile(&text);
        let pairs: Vec<Vec<&Identity>> = case
            .callers
            .iter()
            .map(|caller| vec![caller])
            .chain([vec![&case.callers[0], &case.callers[1]]])
            .collect();
        for (set, purpose) in cells() {
            for callers in &pairs {
                for record in &case.records {
                    let seen = shown(&policy, (set, purpose), callers, record, &[]);
                    let expected = naive::shown(policy.model(), set, purpose, callers, record);
                    let seen = seen.map(|(views, _)| views);
                    prop_assert_eq!(
                        &seen, &expected,
                        "{} {} {:?} {:?}\n{}",
                        dice::SETS[set], dice::PURPOSES[purpose], callers, record, text
                    );
                }
            }
        }
    }

    #[test]
    fn what_may_be_written_is_what_the_naive_ones_say(bytes in dice_bytes()) {
        let case = case(&bytes);
        let text = case.policy.text(None, None);
        let policy = compile(&text);
        let pairs = [&case.callers[0..1], &case.callers[1..2], &case.callers[0..2]];
        for (set, purpose) in cells() {
            for (callers, action) in pairs.iter().flat_map(|pair| WRITES.map(|it| (pair, it))) {
                let callers: Vec<&Identity> = callers.iter().collect();
                for record in &case.records {
                    let seen = writable(&policy, (set, purpose, action), &callers, record);
                    let expected =
                        naive::writable(policy.model(), (set, purpose, action), &callers, record);
                    prop_assert_eq!(
                        &seen, &expected,
                        "{} {} {} {:?} {:?}\n{}",
                        dice::SETS[set], dice::PURPOSES[purpose], action, callers, record, text
                    );
                }
            }
        }
    }

    #[test]
    fn less_policy_never_lets_more_be_written(bytes in dice_bytes(), gone in 0_usize..5) {
        let case = case(&bytes);
        let full = compile(&case.policy.text(None, None));
        let fewer = compile(&case.policy.text(Some(gone % case.policy.grants.len()), None));
        let unlimited = case.policy.limits.len().checked_sub(1);
        let unlimited = compile(&case.policy.text(None, unlimited));
        for (set, purpose) in cells() {
            for action in WRITES {
                for (caller, record) in case.callers.iter().zip(&case.records) {
                    let may = |policy, callers: &[&Identity]| {
                        writable(policy, (set, purpose, action), callers, record)
                    };
                    let own = may(&full, &[caller]);
                    prop_assert!(within(may(&fewer, &[caller]).as_deref(), own.as_deref()));
                    prop_assert!(within(own.as_deref(), may(&unlimited, &[caller]).as_deref()));
                    let both = may(&full, &[caller, &case.callers[0]]);
                    prop_assert!(within(both.as_deref(), own.as_deref()));
                }
            }
        }
    }

    #[test]
    fn removing_a_grant_never_reveals_more(bytes in dice_bytes(), gone in 0_usize..5) {
        let case = case(&bytes);
        let gone = gone % case.policy.grants.len();
        let old = compile(&case.policy.text(None, None));
        let new = compile(&case.policy.text(Some(gone), None));
        for cell in cells() {
            for (caller, record) in case.callers.iter().zip(&case.records) {
                let old = shown(&old, cell, &[caller], record, &[]).map(|(views, _)| views);
                let new = shown(&new, cell, &[caller], record, &[]).map(|(views, _)| views);
                prop_assert!(no_more(new.as_deref(), old.as_deref(), false), "{new:?} {old:?}");
            }
        }
    }

    #[test]
    fn adding_a_limit_never_reveals_more(bytes in dice_bytes(), at in 0_usize..5) {
        let case = case(&bytes);
        prop_assume!(!case.policy.limits.is_empty());
        let at = at % case.policy.limits.len();
        let old = compile(&case.policy.text(None, Some(at)));
        let new = compile(&case.policy.text(None, None));
        for cell in cells() {
            for (caller, record) in case.callers.iter().zip(&case.records) {
                let old = shown(&old, cell, &[caller], record, &[]).map(|(views, _)| views);
                let new = shown(&new, cell, &[caller], record, &[]).map(|(views, _)| views);
                prop_assert!(no_more(new.as_deref(), old.as_deref(), true), "{new:?} {old:?}");
            }
        }
    }

    #[test]
    fn on_behalf_of_another_never_reveals_more_than_either_sees(bytes in dice_bytes()) {
        let case = case(&bytes);
        let policy = compile(&case.policy.text(None, None));
        let [a, b, ..] = case.callers.as_slice() else { unreachable!() };
        for cell in cells() {
            for record in &case.records {
                let see = |callers: &[&Identity]| {
                    shown(&policy, cell, callers, record, &[]).map(|(views, _)| views)
                };
                let (both, one, other) = (see(&[a, b]), see(&[a]), see(&[b]));
                prop_assert!(no_more(both.as_deref(), one.as_deref(), true));
                prop_assert!(no_more(both.as_deref(), other.as_deref(), true));
                prop_assert_eq!(both, see(&[b, a]));
            }
        }
    }

    #[test]
    fn a_field_that_finds_records_is_shown_in_them(bytes in dice_bytes(), field in 0_u16..7) {
        let case = case(&bytes);
        let policy = compile(&case.policy.text(None, None));
        for cell in cells() {
            if usize::from(field) >= policy.sets()[cell.0].fields.len() {
                continue;
            }
            for (caller, record) in case.callers.iter().zip(&case.records) {
                let seen = shown(&policy, cell, &[caller], record, &[FieldIx(field)]);
                let Some((views, _)) = seen else { continue };
                // Who may only see records about themselves may ask for them by their id.
                let own = caller.subject.is_some()
                    && policy.sets()[cell.0].is_subject(FieldIx(field));
                prop_assert!(own || views[usize::from(field)].is_raw());
            }
        }
    }

    #[test]
    fn a_permit_that_says_every_record_leaves_is_right(bytes in dice_bytes()) {
        let case = case(&bytes);
        let policy = compile(&case.policy.text(None, None));
        let pairs = [vec![&case.callers[0]], vec![&case.callers[1], &case.callers[2]]];
        for (set, purpose) in cells() {
            let people = policy.sets()[set].subjects.len();
            let known = |person: &Person| {
                let card = person.card.as_ref().filter(|_| person.id.is_some());
                card.is_some_and(|card| !card.status.contains(SubjectStatus::Erased))
            };
            for callers in &pairs {
                let Some(permit) = permit(&policy, (set, purpose, Action::Read), callers, &[]) else { continue };
                if permit.may_leave_out() {
                    continue;
                }
                for record in &case.records {
                    if record.people.iter().take(people).all(known) {
                        let seen = naive::shown(policy.model(), set, purpose, callers, record);
                        prop_assert!(seen.is_some(), "{}", case.policy.text(None, None));
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,400}") {
        read_for_fuzzing(text.as_bytes());
    }

    #[test]
    fn any_change_of_a_policy_is_read_without_a_panic(
        bytes in dice_bytes(),
        at in any::<prop::sample::Index>(),
        with in "[ -~\n]{0,6}",
    ) {
        let text = case(&bytes).policy.text(None, None);
        let (head, tail) = text.split_at(at.index(text.len()));
        let tail = tail.get(with.len()..).unwrap_or_default();
        read_for_fuzzing(format!("{head}{with}{tail}").as_bytes());
    }
}
