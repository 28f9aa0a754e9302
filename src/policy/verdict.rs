//! The decision about one record.

use crate::catalog::FieldIx;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::Because;
use super::CardFacts;
use super::Permit;
use super::RecordFacts;
use super::RecordSubject;
use super::Scratch;
use super::Verdict;
use super::View;
use super::compile::Cell;
use super::compile::Effect;
use super::compile::Known;
use super::compile::Plan;
use super::compile::SetFacts;
use super::permit::Side;
use super::permit::Sometimes;

/// Judges one record. Closed: an unknown fact leaves it out or shows less.
///
/// A record about several people is judged once for each, and each verdict holds for the fields
/// about that person. A call with two credentials is judged once for each of them, and the more
/// protective view counts.
pub fn verdict<'s>(
    permit: &'s Permit,
    facts: &RecordFacts<'_>,
    scratch: &'s mut Scratch,
) -> Verdict<'s> {
    let Some(bench) = Bench::of(permit) else {
        return Verdict::LeaveOut { because: Because::NoGrant };
    };
    let set = bench.set;
    scratch.trace = [Trace::default(); 2];
    let people = permit.set.subjects.len();
    if people > 1 || permit.other.is_some() {
        return bench.several(facts, scratch);
    }
    let person = (people == 1).then_some(0);
    let Scratch { views, trace, .. } = scratch;
    match bench.judge(&permit.side, person, facts, (views, &mut trace[0])) {
        Judged::Out(because) => Verdict::LeaveOut { because },
        Judged::Planned(plan) => Verdict::Release { views: &plan.views, in_clear: plan.in_clear },
        Judged::Mixed => Verdict::Release { in_clear: set.in_clear(views), views },
    }
}

/// Which rules made a record look as it does, by side: for tests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace {
    /// Grants, as bits.
    pub(super) grants: u64,
    /// Limits that cut, as bits.
    pub(super) cuts: u64,
    /// In which capacities the caller acted for somebody else.
    pub(super) acted: Capacities,
}

impl Trace {
    pub(super) fn add(&mut self, grants: u64, cuts: u64, acted: Capacities) {
        self.grants |= grants;
        self.cuts |= cuts;
        self.acted = self.acted.or(acted);
    }
}

/// What covers a record: grants, and limits that cut it, as bits.
pub(super) struct Covered {
    pub(super) grants: u64,
    pub(super) cuts: u64,
    /// In which capacities the caller acts for somebody else.
    pub(super) acted: Capacities,
}

/// In which capacities a caller stands to the person at a place among a record's subjects. Nobody
/// is a person who is dead, whatever credential is shown.
fn capacities(
    side: &Side,
    (at, id): (usize, &str),
    card: &CardFacts<'_>,
    now: Timestamp,
) -> Capacities {
    let is_self =
        |(bits, own): &(u64, SubjectId)| at < 64 && bits & (1 << at) != 0 && own.expose() == id;
    let is_self =
        side.person.as_ref().is_some_and(is_self) && !card.status.contains(SubjectStatus::Deceased);
    let own = if is_self { Capacities::SELF } else { Capacities::NONE };
    let Some(who) = side.who else { return own };
    let in_force = card.representatives.iter().filter(|it| it.is_in_force(who, card.status, now));
    in_force.fold(own, |capacities, it| capacities.with(it.kind))
}

/// What one judgement rests on.
pub(super) struct Bench<'s> {
    permit: &'s Permit,
    pub(super) cell: &'s Cell,
    pub(super) set: &'s SetFacts,
}

/// One judgement: of one credential, about one person.
enum Judged<'s> {
    /// The views were put together for this record.
    Mixed,
    Out(Because<'s>),
    Planned(&'s Plan),
}

impl<'s> Bench<'s> {
    /// What judgements under a permit rest on.
    pub(super) fn of(permit: &'s Permit) -> Option<Self> {
        let set = permit.policy.tables().sets.get(permit.set_at)?;
        Some(Self { permit, cell: permit.cell()?, set })
    }

    /// Judges for one credential and one person; `None`: the record is about nobody.
    fn judge(
        &self,
        side: &'s Side,
        person: Option<usize>,
        facts: &RecordFacts<'_>,
        (views, trace): (&mut Vec<View>, &mut Trace),
    ) -> Judged<'s> {
        let Covered { grants, cuts, acted } = match self.cover(side, person, facts) {
            Ok(covered) => covered,
            Err(because) => return Judged::Out(because),
        };
        trace.add(grants, cuts, acted);
        let planned = match &side.base {
            Some(base) if grants == side.always && cuts == side.cut => Some(base),
            _ if cuts == 0 => self.cell.plan(grants),
            _ => None,
        };
        let reveals = match planned {
            Some(plan) => plan.reveals,
            None => {
                self.cell.show(grants, cuts, self.set.personal.len(), views);
                views.iter().any(|view| view.reveals())
            }
        };
        match planned {
            _ if !reveals => Judged::Out(self.emptied(cuts)),
            Some(plan) => Judged::Planned(plan),
            None => Judged::Mixed,
        }
    }

    /// The grants that cover a record and the limits that cut it, as bits, or why none counts.
    pub(super) fn cover(
        &self,
        side: &Side,
        person: Option<usize>,
        facts: &RecordFacts<'_>,
    ) -> Result<Covered, Because<'s>> {
        let known = self.known(side, person, facts)?;
        let covers = |grant: &&Sometimes| {
            (grant.as_subject.is_none() || grant.as_subject.meets(known.caller))
                && grant.rows_hold(facts.values)
        };
        let sometimes = side.sometimes.iter().filter(covers);
        let grants = sometimes.fold(side.always, |mask, grant| mask | grant.bit);
        if grants == 0 {
            return Err(Because::NoGrant);
        }
        let mut cuts = side.cut;
        for (at, left) in &side.limits {
            let limit = self.cell.limits.get(*at).ok_or(Because::NoGrant)?;
            if limit.falls(*left, &known) {
                if !matches!(limit.effect, Effect::Cut(_)) {
                    return Err(Because::Limit(&limit.id));
                }
                cuts |= 1 << at;
            }
        }
        let alters = matches!(self.permit.action, Action::Delete | Action::Update);
        if alters && known.status.is_some_and(|status| status.contains(SubjectStatus::Held)) {
            return Err(Because::Held);
        }
        let acted = if known.caller.meets(Capacities::SELF) {
            Capacities::NONE
        } else {
            let used = side.sometimes.iter().filter(|grant| grants & grant.bit != 0);
            used.fold(Capacities::NONE, |acted, it| acted.or(it.as_subject.and(known.caller)))
        };
        Ok(Covered { grants, cuts, acted })
    }

    /// What is known of a person and the record, or why the record does not leave.
    fn known<'a>(
        &self,
        side: &Side,
        person: Option<usize>,
        facts: &RecordFacts<'a>,
    ) -> Result<Known<'a>, Because<'s>>
    where
        's: 'a,
    {
        let (region, now) = (facts.region, facts.now);
        let tables = self.permit.policy.tables();
        let recipient = side.recipient.and_then(|at| tables.recipients.get(at));
        let Some(at) = person else {
            let (caller, status, opt_outs) = (Capacities::NONE, None, None);
            return Ok(Known { caller, status, opt_outs, region, recipient, now });
        };
        let RecordSubject { id: Some(id), card: Some(card) } =
            facts.subjects.get(at).copied().unwrap_or_default()
        else {
            return Err(Because::UnknownSubject);
        };
        if card.status.contains(SubjectStatus::Erased) {
            return Err(Because::Erased);
        }
        let consent = tables.consent.get(self.permit.purpose_at);
        let consent = consent.ok_or(Because::Consent)?;
        if consent.needed(region)
            && !card.consents.get(&consent.name).is_some_and(|given| {
                given.allows(facts.now) && given.has_form(consent.form(region, card.status))
            })
        {
            return Err(Because::Consent);
        }
        let objection = self.permit.policy.tables().objection.get(self.permit.purpose_at);
        if card.status.contains(SubjectStatus::Objected)
            && objection.is_none_or(|objection| objection.closes(region))
        {
            return Err(Because::Objected);
        }
        let caller = capacities(side, (at, id), &card, facts.now);
        let (status, opt_outs) = (Some(card.status), Some(card.opt_outs));
        Ok(Known { caller, status, opt_outs, region, recipient, now })
    }

    /// Why nothing of a record is shown.
    fn emptied(&self, cuts: u64) -> Because<'s> {
        let first = usize::try_from(cuts.trailing_zeros()).unwrap_or(usize::MAX);
        match self.cell.limits.get(first) {
            Some(limit) if cuts != 0 => Because::Limit(&limit.id),
            _ => Because::NoGrant,
        }
    }

    /// Whether the call selected records by a field about this person. A hit would tell the value
    /// of a field that is not shown.
    pub(super) fn was_found_by(&self, person: u64) -> bool {
        let owners = |field: &FieldIx| self.set.about.get(field.index());
        self.permit.selects.iter().filter_map(owners).any(|owners| owners & person != 0)
    }

    /// Judges for each credential and each person, and takes the more protective views.
    fn several(&self, facts: &RecordFacts<'_>, scratch: &'s mut Scratch) -> Verdict<'s> {
        let Scratch { views, joined, trace, .. } = scratch;
        joined.clear();
        joined.resize(self.set.personal.len(), View::Show);
        let mut first_out = None;
        let people = self.permit.set.subjects.len();
        let sides = [Some(&self.permit.side), self.permit.other.as_ref()];
        for (side, trace) in sides.into_iter().flatten().zip(trace) {
            for person in 0..people.max(1) {
                let about = (people > 0).then_some(person);
                let bit = if people > 1 { 1_u64 << person.min(63) } else { u64::MAX };
                let judged = self.judge(side, about, facts, (views, trace));
                let given: &[View] = match &judged {
                    Judged::Mixed => views,
                    Judged::Out(because) => {
                        if people > 1 && self.was_found_by(bit) {
                            return Verdict::LeaveOut { because: *because };
                        }
                        first_out.get_or_insert(*because);
                        &[]
                    }
                    Judged::Planned(plan) => &plan.views,
                };
                for (at, (view, owners)) in joined.iter_mut().zip(&*self.set.about).enumerate() {
                    if owners & bit != 0 {
                        let given = given.get(at).copied().unwrap_or(View::Drop);
                        *view = view.narrower(given);
                    }
                }
            }
        }
        if joined.iter().any(|view| view.reveals()) {
            return Verdict::Release { in_clear: self.set.in_clear(joined), views: joined };
        }
        Verdict::LeaveOut { because: first_out.unwrap_or(Because::NoGrant) }
    }
}
