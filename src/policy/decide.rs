//! The decision about a caller.

use std::sync::Arc;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::OwnCard;
use crate::types::PurposeId;
use crate::types::Region;
use crate::types::Timestamp;

use super::BulkLimit;
use super::Call;
use super::Decision;
use super::Identity;
use super::Permit;
use super::PolicySet;
use super::Refusal;
use super::RefusalReason;
use super::View;
use super::compile::Caller;
use super::compile::Cell;
use super::compile::CellGrant;
use super::compile::Effect;
use super::compile::Held;
use super::compile::Plan;
use super::compile::SetFacts;
use super::permit::Side;
use super::permit::Sometimes;
use super::permit::Standing;
use super::refuse;

/// Decides a call. Closed: what no grant covers is refused.
pub fn decide(call: &Call<'_>, policy: &Arc<PolicySet>) -> Decision {
    // The positions of fields mean something only in the policy the data set came from.
    let set = policy.sets().iter().position(|set| std::ptr::eq(Arc::as_ptr(set), call.set));
    let Some(set) = set else {
        let refused = refusal(RefusalReason::UnknownSet, &[]);
        return Decision::Refuse(refused.with_detail(RefusalReason::UnknownSet.words()));
    };
    let asked = Asked {
        identity: call.identity,
        on_behalf_of: call.on_behalf_of,
        standing: call.standing,
        purpose: call.purpose,
        default_purpose: call.route.purpose.as_ref(),
        set,
        action: call.action,
        selects_by: call.selects_by,
        gpc: call.gpc,
        now: call.now,
    };
    match asked.decide(policy) {
        Decision::Refuse(mut refused) => {
            refused.detail = refuse::explain(&asked, call.route, policy, &refused);
            Decision::Refuse(refused)
        }
        permitted @ Decision::Permit(_) => permitted,
    }
}

/// A call without its route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) identity: &'a Identity,
    pub(super) on_behalf_of: Option<&'a Identity>,
    /// What is known of the people they are.
    pub(super) standing: [OwnCard; 2],
    pub(super) purpose: Option<&'a str>,
    pub(super) default_purpose: Option<&'a PurposeId>,
    /// The data set's position.
    pub(super) set: usize,
    pub(super) action: Action,
    pub(super) selects_by: &'a [FieldIx],
    pub(super) gpc: bool,
    pub(super) now: Timestamp,
}

/// What both sides of a call are measured by.
struct Measure<'a> {
    asked: &'a Asked<'a>,
    policy: &'a PolicySet,
    purpose: &'a PurposeId,
    at: usize,
    cell: &'a Cell,
    facts: &'a SetFacts,
}

impl Asked<'_> {
    /// What is known of the person a credential is of.
    fn standing(&self, identity: &Identity) -> OwnCard {
        let [own, other] = self.standing;
        if std::ptr::eq(identity, self.identity) { own } else { other }
    }

    /// In which capacities the owner of a credential may stand to people a data set is about.
    pub(super) fn may_be(&self, identity: &Identity, set: &DataSet) -> Capacities {
        let standing = self.standing(identity);
        let domain = identity.subject.as_ref().map(|(domain, _)| domain);
        let own = set.subjects.iter().any(|it| Some(&it.domain) == domain) && !standing.is_dead;
        let for_others = standing.who.is_some() && !set.subjects.is_empty() && !standing.is_dead;
        let own = if own { Capacities::SELF } else { Capacities::NONE };
        if for_others { own.or(Capacities::REPRESENTATIVE) } else { own }
    }

    /// Decides.
    pub(super) fn decide(&self, policy: &Arc<PolicySet>) -> Decision {
        match self.permit(policy) {
            Ok(permit) => Decision::Permit(permit),
            Err(refusal) => Decision::Refuse(refusal),
        }
    }

    fn permit(&self, policy: &Arc<PolicySet>) -> Result<Permit, Refusal> {
        let identities = || [Some(self.identity), self.on_behalf_of].into_iter().flatten();
        if identities().any(|identity| identity.expires <= self.now) {
            return Err(refusal(RefusalReason::Expired, &[]));
        }
        let (purpose, at) = self.purpose(policy)?;
        self.permit_for(policy, purpose, at)
            .map_err(|refused| Refusal { purpose: Some(purpose.clone()), ..refused })
    }

    fn permit_for(
        &self,
        policy: &Arc<PolicySet>,
        purpose: &PurposeId,
        purpose_at: usize,
    ) -> Result<Permit, Refusal> {
        let mut identities = [Some(self.identity), self.on_behalf_of].into_iter().flatten();
        if let Some(at) = identities.position(|identity| !may_name(identity, purpose)) {
            let refused = refusal(RefusalReason::PurposeNotInToken, &["purpose"]);
            return Err(Refusal { second: at > 0, ..refused });
        }
        if self.gpc && policy.ends_by_gpc(purpose_at) {
            return Err(refusal(RefusalReason::Gpc, &[]));
        }
        let tables = policy.tables();
        let facts = tables.sets.get(self.set);
        let facts = facts.ok_or_else(|| refusal(RefusalReason::UnknownSet, &[]))?;
        let found = tables.find(self.set, purpose_at, self.action);
        let found = found.and_then(|at| tables.cell(at).map(|cell| (at, cell)));
        let (at, cell) = found.ok_or_else(|| {
            refusal(RefusalReason::NoGrant, &[refuse::lacks(self, policy, self.identity)])
        })?;
        let measure = Measure { asked: self, policy, purpose, at, cell, facts };
        let (mut fact_fields, mut bulk) = (Vec::new(), Vec::new());
        let side = measure.side(self.identity, &mut fact_fields, &mut bulk)?;
        let other = match self.on_behalf_of {
            Some(identity) => {
                let side = measure.side(identity, &mut fact_fields, &mut bulk);
                Some(side.map_err(|refused| Refusal { second: true, ..refused })?)
            }
            None => None,
        };
        let widest = measure.widest(&side, other.as_ref());
        let all = side.all() | other.as_ref().map_or(0, Side::all);
        let mut standing = Standing::default();
        measure.stand(self.identity, &side, &mut standing);
        if let (Some(identity), Some(side)) = (self.on_behalf_of, &other) {
            measure.stand(identity, side, &mut standing);
        }
        Ok(Permit {
            policy: Arc::clone(policy),
            set: Arc::clone(&facts.set),
            set_at: self.set,
            purpose: purpose.clone(),
            purpose_at,
            action: self.action,
            grants: cell.chosen(all).map(|grant| grant.id.clone()).collect(),
            side,
            other,
            widest,
            fact_fields,
            selects: self.selects_by.into(),
            bulk,
            standing,
        })
    }

    /// The one purpose of the call.
    fn purpose<'p>(&self, policy: &'p PolicySet) -> Result<(&'p PurposeId, usize), Refusal> {
        let only = |identity: &Identity| match identity.purposes.as_deref() {
            Some([only]) if identity.names_purposes => Some(only.clone()),
            _ => None,
        };
        let named = self.purpose.or(self.default_purpose.map(PurposeId::as_str));
        let found = match named {
            Some(name) => policy.purpose(name),
            None => {
                let only = only(self.identity);
                let only = only.ok_or_else(|| refusal(RefusalReason::NoPurpose, &["purpose"]))?;
                policy.purpose(&only)
            }
        };
        found.ok_or_else(|| refusal(RefusalReason::UnknownPurpose, &["purpose"]))
    }
}

fn may_name(identity: &Identity, purpose: &PurposeId) -> bool {
    let named = identity.purposes.as_ref();
    named.is_none_or(|named| named.iter().any(|name| **name == *purpose.as_str()))
}

fn refusal(reason: RefusalReason, missing: &[&'static str]) -> Refusal {
    Refusal::new(reason, missing)
}

/// Why a grant does not match.
enum Miss {
    /// Its roles.
    Roles,
    /// Its dates.
    Dates,
    /// Its needs: these.
    Needs(Vec<&'static str>),
    /// Its rows: the caller lacks a claim.
    Rows,
}

impl Measure<'_> {
    /// What one credential brings.
    fn side(
        &self,
        identity: &Identity,
        fact_fields: &mut Vec<FieldIx>,
        bulk: &mut Vec<BulkLimit>,
    ) -> Result<Side, Refusal> {
        let claimed = self.policy.claimed(&identity.claims);
        let may_be = self.asked.may_be(identity, &self.facts.set);
        let person = self.person(identity).filter(|_| may_be.meets(Capacities::SELF));
        let who = self.asked.standing(identity).who;
        let who = who.filter(|_| may_be.meets(Capacities::REPRESENTATIVE));
        let tables = self.policy.tables();
        let recipient = identity.recipient.as_ref().and_then(|id| tables.recipient(id));
        let mut side = Side {
            cell: self.at,
            always: 0,
            sometimes: Vec::new(),
            limits: Vec::new(),
            cut: 0,
            base: None,
            person,
            recipient,
            place: self.place(identity, recipient),
            who,
        };
        self.grants(identity, (claimed, may_be), &mut side, fact_fields)?;
        self.limits(identity, (claimed, may_be), &mut side, bulk)?;
        for field in self.asked.selects_by {
            self.may_select(&side, *field)?;
        }
        if side.cut != 0 || self.cell.plan(side.always).is_none() {
            side.base = Some(self.plan(side.always, side.cut));
        }
        Ok(side)
    }

    /// Until when what one credential brings counts, and what of it was cleared.
    fn stand(&self, identity: &Identity, side: &Side, standing: &mut Standing) {
        for grant in self.cell.chosen(side.all()) {
            standing.until(grant.valid.until);
            let Some(clearing) = &grant.needs.clearing else { continue };
            let named = (&grant.id, self.purpose);
            if let Some((clearance, until)) = clearing.met_by(identity, named, self.asked.now) {
                standing.until(Some(until));
                standing.under(clearance);
            }
        }
    }

    /// Where data goes by a credential. A recipient that nobody knows may be anywhere.
    fn place(&self, identity: &Identity, recipient: Option<usize>) -> Option<Region> {
        let recipients = &self.policy.tables().recipients;
        let to = recipient.and_then(|at| recipients.get(at)).map(|to| to.country);
        match (identity.region, to) {
            (caller, None) if identity.recipient.is_none() => caller,
            (None, to) => to,
            (Some(caller), Some(to)) => (caller == to).then_some(to),
            (Some(_), None) => None,
        }
    }

    /// The person the caller is, when a record of this data set can be about that person.
    fn person(&self, identity: &Identity) -> Option<(u64, crate::types::SubjectId)> {
        let (domain, id) = identity.subject.as_ref()?;
        let subjects = self.facts.set.subjects.iter().enumerate();
        let bits = subjects
            .filter(|(_, subject)| subject.domain == *domain)
            .fold(0_u64, |bits, (at, _)| {
                bits | 1_u64.unbounded_shl(u32::try_from(at).unwrap_or(u32::MAX))
            });
        (bits != 0).then(|| (bits, id.clone()))
    }

    fn grants(
        &self,
        identity: &Identity,
        (claimed, may_be): (u128, Capacities),
        side: &mut Side,
        fact_fields: &mut Vec<FieldIx>,
    ) -> Result<(), Refusal> {
        let mut nearest: Option<Refusal> = None;
        for (at, grant) in self.cell.grants.iter().enumerate() {
            let bit = 1 << at;
            match self.matches(grant, identity, claimed, may_be) {
                Ok(Held::Yes) if grant.rows.is_empty() => side.always |= bit,
                Ok(held) => {
                    let rows = rows(grant, identity, fact_fields);
                    let as_subject = match held {
                        Held::AsSubject(capacities) => capacities,
                        Held::No | Held::Yes => Capacities::NONE,
                    };
                    side.sometimes.push(Sometimes { bit, as_subject, rows });
                }
                Err(miss) => nearer(&mut nearest, miss, grant),
            }
        }
        if side.all() == 0 {
            return Err(nearest.unwrap_or_else(|| {
                let lacks = refuse::lacks(self.asked, self.policy, identity);
                refusal(RefusalReason::NoGrant, &[lacks])
            }));
        }
        Ok(())
    }

    /// Whether a grant matches, and whether only on records about the caller.
    fn matches(
        &self,
        grant: &CellGrant,
        identity: &Identity,
        claimed: u128,
        may_be: Capacities,
    ) -> Result<Held, Miss> {
        let now = self.asked.now;
        let held = grant.roles.held(claimed, may_be);
        let valid = grant.valid.holds(now);
        if held == Held::No {
            return Err(Miss::Roles);
        }
        if !valid {
            return Err(Miss::Dates);
        }
        let claims = |claim: &str| identity.claims.get(claim).is_some_and(|v| !v.is_empty());
        if !grant.rows.iter().all(|(_, claim)| claims(claim)) {
            return Err(Miss::Rows);
        }
        let mut missing = Vec::new();
        if let Some(within_s) = grant.needs.mfa_within_s
            && !identity.has_fresh_mfa(within_s, now)
        {
            missing.push("mfa_within");
        }
        if grant.needs.ticket && !identity.ticket {
            missing.push("ticket");
        }
        if let Some(clearing) = &grant.needs.clearing
            && clearing.met_by(identity, (&grant.id, self.purpose), now).is_none()
        {
            missing.push(clearing.kind.as_str());
        }
        if missing.is_empty() { Ok(held) } else { Err(Miss::Needs(missing)) }
    }

    fn limits(
        &self,
        identity: &Identity,
        (claimed, may_be): (u128, Capacities),
        side: &mut Side,
        bulk: &mut Vec<BulkLimit>,
    ) -> Result<(), Refusal> {
        let recipients = &self.policy.tables().recipients;
        let recipient = side.recipient.and_then(|at| Some((at, recipients.get(at)?)));
        let caller = Caller { identity, claimed, may_be, recipient };
        for (at, limit) in self.cell.limits.iter().enumerate() {
            let Some(left) = limit.left(caller) else { continue };
            match &limit.effect {
                Effect::Bulk(count) => {
                    if !bulk.iter().any(|known| known.id == count.id) {
                        bulk.push(count.clone());
                    }
                }
                Effect::Deny if limit.is_certain(left) => {
                    let rule = Some(limit.id.clone());
                    return Err(Refusal { rule, ..refusal(RefusalReason::Limit, &[]) });
                }
                Effect::Cut(_) if limit.is_certain(left) => side.cut |= 1 << at,
                Effect::Cut(_) | Effect::Deny | Effect::LeaveOut => side.limits.push((at, left)),
            }
        }
        Ok(())
    }

    /// Whether a caller may look records up by a field: when whatever covers a record either shows
    /// the field or lists it in `find_by`. Otherwise a hit would tell what no view does.
    fn may_select(&self, side: &Side, field: FieldIx) -> Result<(), Refusal> {
        let cut = |at: usize| match self.cell.limits.get(at).map(|limit| &limit.effect) {
            Some(Effect::Cut(floors)) => {
                floors.get(field.index()).is_none_or(|floor| *floor != View::Show)
            }
            _ => false,
        };
        let mut limits = side.limits.iter().map(|(at, _)| *at);
        let hidden = limits.any(cut) || (0..64).any(|at| side.cut & (1 << at) != 0 && cut(at));
        let opens = |grant: &CellGrant| {
            let shown = grant.views.get(field.index()).is_some_and(|view| view.is_raw());
            shown && !hidden || grant.find_by.contains(&field)
        };
        let nearest = self.cell.chosen(side.all()).next().map(|grant| grant.id.clone());
        let allowed = if side.always == 0 {
            side.sometimes.iter().all(|some| {
                // Who may only see records about themselves, or about people they act for, learns
                // nothing by asking for others: those are not found.
                let own = some.as_subject.meets(Capacities::SELF) && self.is_own(side, field)
                    || some.as_subject.meets(Capacities::REPRESENTATIVE)
                        && self.facts.set.is_subject(field);
                own || self.cell.chosen(some.bit).any(opens)
            })
        } else {
            self.cell.chosen(side.always).any(opens)
        };
        if allowed {
            return Ok(());
        }
        let refused = refusal(RefusalReason::FindBy, &["find_by"]);
        Err(Refusal { rule: nearest, field: Some(field), ..refused })
    }

    /// Whether a field holds the id of a subject that the caller may be.
    fn is_own(&self, side: &Side, field: FieldIx) -> bool {
        let bits = side.person.as_ref().map_or(0, |(bits, _)| *bits);
        let subjects = self.facts.set.subjects.iter().enumerate();
        subjects
            .into_iter()
            .any(|(at, subject)| subject.field == field && at < 64 && bits & (1 << at) != 0)
    }

    fn plan(&self, mask: u64, cut: u64) -> Plan {
        let mut views = Vec::new();
        self.cell.show(mask, cut, self.facts.personal.len(), &mut views);
        Plan::new(views.into(), self.facts)
    }

    /// The most that any record shows, where no table holds it.
    fn widest(&self, side: &Side, other: Option<&Side>) -> Option<Plan> {
        if other.is_none() && side.cut == 0 && self.cell.plan(side.all()).is_some() {
            return None;
        }
        let mut plan = self.plan(side.all(), side.cut);
        if let Some(other) = other {
            let with = self.plan(other.all(), other.cut);
            let both = plan.views.iter().zip(&*with.views).map(|(a, b)| a.narrower(*b));
            plan = Plan::new(both.collect(), self.facts);
        }
        Some(plan)
    }
}

/// The rows of a grant: where the values stand among the facts, and which ones match.
fn rows(
    grant: &CellGrant,
    identity: &Identity,
    fact_fields: &mut Vec<FieldIx>,
) -> Vec<(usize, Vec<Box<str>>)> {
    let rows = grant.rows.iter().map(|(field, claim)| {
        let known = fact_fields.iter().position(|known| known == field);
        let at = known.unwrap_or_else(|| {
            fact_fields.push(*field);
            fact_fields.len() - 1
        });
        (at, identity.claims.get(claim).cloned().unwrap_or_default())
    });
    rows.collect()
}

/// Keeps the miss that helps the caller most: the one that lacks least.
fn nearer(nearest: &mut Option<Refusal>, miss: Miss, grant: &CellGrant) {
    let (reason, missing) = match miss {
        Miss::Roles => return,
        Miss::Dates => (RefusalReason::NoGrant, Vec::new()),
        Miss::Needs(missing) => (RefusalReason::NeedsUnmet, missing),
        Miss::Rows => (RefusalReason::RowsUnmet, vec!["rows"]),
    };
    let closer = nearest.as_ref().is_none_or(|known| {
        let class = |reason| match reason {
            RefusalReason::NeedsUnmet => 0,
            RefusalReason::RowsUnmet => 1,
            _ => 2,
        };
        (class(reason), missing.len()) < (class(known.reason), known.missing.len())
    });
    if closer {
        let mfa_within_s = grant.needs.mfa_within_s.filter(|_| missing.contains(&"mfa_within"));
        let rule = Some(grant.id.clone());
        *nearest = Some(Refusal { rule, mfa_within_s, ..refusal(reason, &missing) });
    }
}
