//! A second meaning of policies: written from the words of the design, over the model as written,
//! record by record and field by field, without tables, bits or plans.

use super::NOW;
use super::dice;
use super::dice::Person;
use super::dice::Record;
use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::catalog::FieldIx;
use crate::policy::Identity;
use crate::policy::LegalBasis;
use crate::policy::View;
use crate::policy::source::Gives;
use crate::policy::source::Grant;
use crate::policy::source::Holds;
use crate::policy::source::Limit;
use crate::policy::source::Model;
use crate::policy::source::Recipient;
use crate::policy::source::Separate;
use crate::policy::source::Then;
use crate::policy::source::ViewSpec;
use crate::policy::source::Whom;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::Consent;
use crate::types::Flags;
use crate::types::Region;
use crate::types::Representative;
use crate::types::RepresentativeKind;
use crate::types::SubjectStatus;

/// What one caller, or two of whom both must be allowed it, get of a record; `None`: nothing.
pub(super) fn shown(
    model: &Model,
    set: usize,
    purpose: usize,
    callers: &[&Identity],
    record: &Record,
) -> Option<Vec<View>> {
    let data = &model.sets[set];
    let views: Vec<View> = data
        .indexed()
        .map(|(ix, field)| {
            let mut views = Vec::new();
            for caller in callers {
                for about in about(data, ix) {
                    let who = about.map(|at| (at, &record.people[at]));
                    let action = Action::Read;
                    let scene = Scene { model, set, purpose, action, caller, record, who };
                    views.push(scene.field(field));
                }
            }
            match views.into_iter().reduce(more_protective) {
                // Nothing is sealed here.
                None | Some(View::Ciphertext) => View::Drop,
                Some(view) => view,
            }
        })
        .collect();
    let nothing = views.iter().all(|view| *view == View::Drop);
    (!nothing).then_some(views)
}

/// Which fields one caller, or two of whom both must be allowed it, may set in a record; `None`:
/// the record may not be written at all.
pub(super) fn writable(
    model: &Model,
    (set, purpose, action): (usize, usize, Action),
    callers: &[&Identity],
    record: &Record,
) -> Option<Vec<bool>> {
    let data = &model.sets[set];
    let people: Vec<Option<usize>> = match data.subjects.len() {
        0 => vec![None],
        several => (0..several).map(Some).collect(),
    };
    let scene = |caller, who: Option<usize>| {
        let who = who.map(|at| (at, &record.people[at]));
        Scene { model, set, purpose, action, caller, record, who }
    };
    for caller in callers {
        let mut open = people.iter().map(|who| scene(caller, *who).may_be_written());
        // One that changes may be written in part; one that comes or goes is one.
        let enough =
            if action == Action::Update { open.any(|open| open) } else { open.all(|open| open) };
        if !enough {
            return None;
        }
    }
    let may_set = |(ix, field): (FieldIx, &Field)| {
        callers.iter().all(|caller| {
            about(data, ix).into_iter().all(|who| scene(caller, who).may_set(ix, field))
        })
    };
    Some(data.indexed().map(may_set).collect())
}

/// Whom a field is about: those who list it; when nobody does, everybody; `None`: nobody at all.
pub(super) fn about(data: &DataSet, ix: FieldIx) -> Vec<Option<usize>> {
    let everybody = || (0..data.subjects.len()).map(Some).collect::<Vec<_>>();
    if data.subjects.is_empty() {
        return vec![None];
    }
    let lists = |at: &Option<usize>| {
        at.is_some_and(|at| data.subjects[at].owns.as_ref().is_none_or(|o| o.contains(&ix)))
    };
    let owners: Vec<_> = everybody().into_iter().filter(lists).collect();
    if owners.is_empty() { everybody() } else { owners }
}

/// `show < generalize < mask < pseudonymize < ciphertext < drop`.
fn more_protective(a: View, b: View) -> View {
    match a.rank().cmp(&b.rank()) {
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Equal => match (a, b) {
            (a, b) if a == b => a,
            // Of two shapes the one without a shape.
            (View::Pseudonymize(_), View::Pseudonymize(_)) => View::TOKEN,
            // Two forms of one kind: what both say.
            _ => a.narrower(b),
        },
    }
}

/// One caller, one record, one person in it.
struct Scene<'a> {
    model: &'a Model,
    set: usize,
    purpose: usize,
    action: Action,
    caller: &'a Identity,
    record: &'a Record,
    who: Option<(usize, &'a Person)>,
}

impl Scene<'_> {
    /// Whether anything may be written where only this person counts.
    fn may_be_written(&self) -> bool {
        if let Some((_, person)) = self.who {
            let Some(card) = &person.card else { return false };
            let is_held =
                card.status.contains(SubjectStatus::Held) && self.action != Action::Create;
            let is_gone = card.status.contains(SubjectStatus::Erased);
            if person.id.is_none() || is_gone || is_held || !self.consented() || self.objected() {
                return false;
            }
        }
        let mut limits = self.model.limits.iter().filter(|limit| self.limit_falls(limit));
        self.model.grants.iter().any(|grant| self.grant_matches(grant))
            && !limits.any(|limit| matches!(limit.then, Then::LeaveOut | Then::Deny))
    }

    fn may_set(&self, ix: FieldIx, field: &Field) -> bool {
        let path = field.path.as_str();
        let named = |writes: &str| {
            path.strip_prefix(writes)
                .is_some_and(|rest| matches!(rest.chars().next(), None | Some('.' | '[')))
        };
        let mut grants = self.model.grants.iter().filter(|grant| self.grant_matches(grant));
        let granted = grants.any(|grant| grant.writes.iter().any(|(it, _)| named(it.as_str())));
        let of_subject = self.model.sets[self.set].subjects.iter().any(|it| it.field == ix);
        let in_time = match self.action {
            Action::Create => true,
            Action::Update => !of_subject,
            _ => false,
        };
        let cut = self.model.limits.iter().any(|limit| {
            // Ciphertext of what is not sealed is nothing.
            matches!(limit.then, Then::View(View::Drop | View::Ciphertext))
                && self.limit_falls(limit)
                && speaks_of(limit, field)
        });
        self.may_be_written() && granted && in_time && !cut
    }

    fn field(&self, field: &Field) -> View {
        if let Some((_, person)) = self.who {
            let Some(card) = &person.card else { return View::Drop };
            if person.id.is_none()
                || card.status.contains(SubjectStatus::Erased)
                || self.objected()
                || !self.consented()
            {
                return View::Drop;
            }
        }
        let granted: Vec<(&Grant, View)> = self
            .model
            .grants
            .iter()
            .filter(|grant| self.grant_matches(grant))
            .map(|grant| (grant, gives(grant, field)))
            .collect();
        let best = granted.iter().find(|(grant, view)| {
            granted.iter().all(|(other, theirs)| !beats((other, *theirs), (grant, *view)))
        });
        let Some((_, mut view)) = best.copied() else { return View::Drop };
        for limit in self.model.limits.iter().filter(|limit| self.limit_falls(limit)) {
            match limit.then {
                Then::LeaveOut | Then::Deny => return View::Drop,
                Then::View(floor) if speaks_of(limit, field) => {
                    view = more_protective(view, floor);
                }
                Then::View(_) | Then::Bulk { .. } => {}
            }
        }
        view
    }

    fn consented(&self) -> bool {
        let purpose = &self.model.purposes[self.purpose];
        let needed = match (&purpose.basis.regions, self.record_region()) {
            (None, _) => purpose.consent.is_some(),
            (Some(regions), Some(region)) => {
                let own = regions.iter().find(|(known, _)| *known == region);
                own.map_or(purpose.basis.default, |(_, basis)| *basis) == LegalBasis::Consent
            }
            (Some(regions), None) => {
                let mut all = regions.iter().map(|(_, basis)| *basis);
                purpose.basis.default == LegalBasis::Consent
                    || all.any(|basis| basis == LegalBasis::Consent)
            }
        };
        let name = purpose.consent.as_deref().unwrap_or_default();
        let card = self.who.and_then(|(_, person)| person.card.as_ref());
        if !needed {
            return true;
        }
        let Some(card) = card else { return false };
        let Some(Consent::Given { until, form }) = card.consents.get(name) else { return false };
        let alone = match (&purpose.separate, self.record_region()) {
            (Separate::No, _) => false,
            (Separate::In(regions), Some(region)) => regions.contains(&region),
            (Separate::Everywhere | Separate::In(_), _) => true,
        };
        until.is_none_or(|until| NOW < until)
            && (form.separate || !alone)
            && (form.by_guardian || !card.status.contains(SubjectStatus::Minor))
    }

    /// A data set that names no region has records of unknown region.
    fn record_region(&self) -> Option<Region> {
        self.model.sets[self.set].region.and(self.record.region)
    }

    fn is_caller(&self) -> bool {
        let (Some((at, person)), Some((domain, id))) = (self.who, &self.caller.subject) else {
            return false;
        };
        let is_dead = dice::standing(self.caller).is_dead
            || person.card.as_ref().is_some_and(|c| c.status.contains(SubjectStatus::Deceased));
        let is_named = person.id == Some(id.expose());
        *domain == self.model.sets[self.set].subjects[at].domain && is_named && !is_dead
    }

    /// Whether the caller may act for the person in one of these capacities: a guardian for a
    /// minor, the next of kin for the dead, an agent for the living.
    fn acts(&self, capacities: Capacities) -> bool {
        let standing = dice::standing(self.caller);
        let (Some((_, person)), Some(who)) = (self.who, standing.who) else { return false };
        let Some(card) = &person.card else { return false };
        let is = |status| card.status.contains(status);
        let fits = |kind| match kind {
            RepresentativeKind::Guardian => {
                is(SubjectStatus::Minor) && !is(SubjectStatus::Deceased)
            }
            RepresentativeKind::NextOfKin => is(SubjectStatus::Deceased),
            RepresentativeKind::Agent => !is(SubjectStatus::Deceased),
        };
        let may = |it: &Representative| {
            let is_asked_for = capacities.kinds().any(|kind| kind == it.kind);
            it.who == who && NOW < it.until && is_asked_for && fits(it.kind)
        };
        !standing.is_dead && card.representatives.iter().any(may)
    }

    /// Whether the person objected to what may be objected to: tasks in the public interest and
    /// legitimate interests. An unknown region may be any.
    fn objected(&self) -> bool {
        let purpose = &self.model.purposes[self.purpose];
        let yields = |basis: LegalBasis| {
            matches!(basis, LegalBasis::LegitimateInterest | LegalBasis::PublicTask)
        };
        let regions = purpose.basis.regions.as_deref().unwrap_or_default();
        let own = |region| regions.iter().find(|(known, _)| *known == region);
        let closes = match self.record_region() {
            Some(region) => yields(own(region).map_or(purpose.basis.default, |(_, basis)| *basis)),
            None => yields(purpose.basis.default) || regions.iter().any(|(_, b)| yields(*b)),
        };
        let card = self.who.and_then(|(_, person)| person.card.as_ref());
        closes && card.is_some_and(|card| card.status.contains(SubjectStatus::Objected))
    }

    fn holds_one(&self, roles: &[usize]) -> bool {
        roles.iter().any(|at| match &self.model.roles[*at].holds {
            Holds::Claim { claim, has } => {
                self.caller.claims.get(claim).is_some_and(|values| values.contains(has))
            }
            Holds::Subject { or } => self.is_caller() || self.acts(*or),
        })
    }

    fn grant_matches(&self, grant: &Grant) -> bool {
        let rows = grant.rows.iter().all(|row| {
            let (Some(values), Some(team)) = (self.caller.claims.get(&row.claim), self.record.team)
            else {
                return false;
            };
            values.iter().any(|value| **value == *team)
        });
        let fresh = grant.needs.mfa_within_s.is_none_or(|within| {
            self.caller.mfa_at.is_some_and(|at| NOW.unix_s() - at.unix_s() <= within)
        });
        // Somebody else agreed, or the caller broke glass, and the time that is granted is not over.
        let cleared = grant.needs.clearing.as_ref().is_none_or(|need| {
            self.caller.cleared.iter().any(|had| {
                let age = NOW.unix_ms().checked_sub(had.from.unix_ms());
                had.kind == need.kind
                    && had.role == need.role
                    && had.grant == grant.id
                    && (had.purpose.is_none()
                        || had.purpose.as_ref() == Some(&self.model.purposes[self.purpose].id))
                    && age.is_some_and(|age| age < need.for_s * 1000)
                    && NOW < had.until
            })
        });
        grant.sets.contains(&self.set)
            && cleared
            && grant.purposes.contains(&self.purpose)
            && grant.actions.contains(&self.action)
            && self.holds_one(&grant.roles)
            && rows
            && fresh
            && (!grant.needs.ticket || self.caller.ticket)
            && grant.valid.from.is_none_or(|from| NOW >= from)
            && grant.valid.until.is_none_or(|until| NOW < until)
    }

    fn limit_falls(&self, limit: &Limit) -> bool {
        let when = &limit.when;
        let data = &self.model.sets[self.set];
        let of_limit = (limit.roles.is_empty() || self.holds_one(&limit.roles))
            && (limit.purposes.is_empty() || limit.purposes.contains(&self.purpose))
            && data.fields.iter().any(|field| speaks_of(limit, field));
        // Unknown facts hold.
        let holds = (when.status.is_empty() || self.status_in(&when.status).unwrap_or(true))
            && (!when.opted_out || self.opted_out().unwrap_or(true))
            && self.recipient_is(&when.whom).unwrap_or(true)
            && is_in(&when.record_region, self.record_region()).unwrap_or(true)
            && is_in(&when.caller_region, self.caller.region).unwrap_or(true)
            && !(self.caller.region.is_some_and(|r| when.caller_region_not.contains(&r)));
        // Unknown facts do not hold.
        let excused = limit.unless.as_ref().is_some_and(|unless| {
            (unless.purposes.is_empty() || unless.purposes.contains(&self.purpose))
                && (unless.roles.is_empty() || self.holds_one(&unless.roles))
                && (unless.status.is_empty() || self.status_in(&unless.status).unwrap_or(false))
                && (!unless.opted_out || self.opted_out().unwrap_or(false))
                && self.recipient_is(&unless.whom).unwrap_or(false)
                && (!unless.transfer || self.may_be_passed())
                && is_in(&unless.record_region, self.record_region()).unwrap_or(false)
                && is_in(&unless.caller_region, self.caller.region).unwrap_or(false)
                && (unless.caller_region_not.is_empty()
                    || self.caller.region.is_some_and(|r| !unless.caller_region_not.contains(&r)))
        });
        of_limit && holds && !excused
    }

    /// The recipient, as the policy has it.
    fn recipient(&self) -> Option<(usize, &Recipient)> {
        let id = self.caller.recipient.as_ref()?;
        self.model.recipients.iter().enumerate().find(|(_, recipient)| recipient.id == *id)
    }

    /// `None`: unknown. Nothing asked is met by anybody.
    fn recipient_is(&self, whom: &Whom) -> Option<bool> {
        if whom.is.is_empty() && whom.is_not.is_empty() && whom.kinds.is_empty() {
            return Some(true);
        }
        let (at, recipient) = self.recipient()?;
        let is = whom.is.is_empty() || whom.is.contains(&at);
        let kind = whom.kinds.is_empty() || whom.kinds.contains(&recipient.kind);
        Some(is && kind && !whom.is_not.contains(&at))
    }

    /// Whether everything that binds the recipient holds, and something allows the record's data to
    /// go where it is.
    fn may_be_passed(&self) -> bool {
        let (Some((_, recipient)), Some(from)) = (self.recipient(), self.record_region()) else {
            return false;
        };
        let mut above = Some(recipient);
        let (mut bound, mut allowed, mut near) = (true, from == recipient.country, true);
        while let Some(one) = above {
            bound &= one.agreement.until.is_none_or(|until| NOW < until);
            near &= one.country == recipient.country;
            allowed |= near
                && one.mechanisms.iter().any(|mechanism| {
                    mechanism.regions.contains(&from)
                        && mechanism.until.is_none_or(|until| NOW < until)
                });
            let parent = one.parent.as_ref();
            above = parent.and_then(|(id, _)| self.model.recipients.iter().find(|r| r.id == *id));
        }
        let eea = |region: Region| ["DE", "FR"].contains(&region.as_str());
        bound && (allowed || eea(from) && eea(recipient.country))
    }

    /// A record about nobody has nobody's status.
    fn status_in(&self, wanted: &[SubjectStatus]) -> Option<bool> {
        let Some((_, person)) = self.who else { return Some(false) };
        person.card.as_ref().map(|card| wanted.iter().any(|it| card.status.contains(*it)))
    }

    /// A purpose without an opt-out is never opted out of.
    fn opted_out(&self) -> Option<bool> {
        let Some(name) = &self.model.purposes[self.purpose].opt_out else { return Some(false) };
        let Some((_, person)) = self.who else { return Some(false) };
        person.card.as_ref().map(|card| card.opt_outs.contains(name))
    }
}

/// `None`: unknown. An empty list asks for nothing.
fn is_in(wanted: &[Region], region: Option<Region>) -> Option<bool> {
    if wanted.is_empty() {
        return Some(true);
    }
    region.map(|region| wanted.contains(&region))
}

fn speaks_of(limit: &Limit, field: &Field) -> bool {
    (limit.when.flags == Flags::NONE || field.flags.meets(limit.when.flags))
        && (limit.when.levels.is_empty() || limit.when.levels.contains(&field.level))
}

/// The line that names the field most closely.
fn gives(grant: &Grant, field: &Field) -> View {
    let path = field.path.as_str();
    let below = |path: &str, above: &str| {
        path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
    };
    let lines: Vec<(&str, &ViewSpec)> = match &grant.gives {
        Gives::Fields(lines) => lines
            .iter()
            .map(|line| (line.what.as_str(), &line.spec))
            .filter(|(above, _)| below(path, above))
            .collect(),
        Gives::Categories(lines) => lines
            .iter()
            .map(|line| (line.what.as_str(), &line.spec))
            .filter(|(above, _)| below(field.category.as_str(), above))
            .collect(),
        Gives::Levels(lines) => lines
            .iter()
            .filter(|line| line.what == field.level)
            .map(|line| (line.what.as_str(), &line.spec))
            .collect(),
    };
    let closest = lines.into_iter().max_by_key(|(what, _)| what.len());
    match closest {
        None => View::Drop,
        Some((_, ViewSpec::Plain(view))) => *view,
        Some((above, ViewSpec::Part { child })) => {
            if path == format!("{above}.{child}") {
                View::Generalize(crate::policy::Generalize::Part)
            } else {
                View::Drop
            }
        }
    }
}

/// Whether the first grant's view counts and not the second's.
fn beats((a, says): (&Grant, View), (b, said): (&Grant, View)) -> bool {
    let most = |view| match view {
        View::Show => 0,
        View::Generalize(crate::policy::Generalize::Part) => 1,
        View::Generalize(_) | View::Mask(_) | View::Pseudonymize(_) => 2,
        View::Ciphertext => 3,
        View::Drop => 4,
    };
    let overrides = a.overrides.iter().any(|(id, _)| *id == b.id);
    most(says) < most(said) || most(says) == most(said) && says != said && overrides
}
